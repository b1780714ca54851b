//! What stands at a path where a regular file is wanted, in the words of every message about it.

use rustix::fs::FileType;

/// What a file of this mode is, with its article; `None` where it is a regular file.
pub fn what(mode: u32) -> Option<&'static str> {
    Some(match FileType::from_raw_mode(mode) {
        FileType::RegularFile => return None,
        FileType::Directory => "a directory",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "something special",
    })
}
