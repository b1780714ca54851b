//! Files that answer, files that do not, and pipes, which may do either.
#![expect(
    clippy::disallowed_methods,
    reason = "who writes to a pipe is another thread than its reader"
)]

use std::io::Write;
use std::sync::mpsc;

use futures_util::future::join_all;
use locket_core::Clock;
use locket_testkit::ManualClock;
use rustix::fs::CWD;

use super::*;

const LIMIT: Duration = Duration::from_secs(60);

fn cx() -> FetchCx {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let deadline = clock.monotonic() + LIMIT;
    FetchCx::new(clock, deadline)
}

fn fifo(directory: &tempfile::TempDir) -> PathBuf {
    let path = directory.path().join("fifo");
    rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    path
}

#[tokio::test]
async fn a_file_is_read_whole_and_refused_by_what_is_wrong_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    for content in ["", "token\n", &"t".repeat(10_000)] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(read(&path, &cx()).await.unwrap().bytes(), content.as_bytes());
    }
    File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_len(Body::LIMIT as u64 + 1))
        .unwrap();
    let large = read(&path, &cx()).await.unwrap_err();
    assert!(matches!(large, Unread::TooLarge), "{large}");
    for refused in [directory.path(), &directory.path().join("absent")] {
        let error = read(refused, &cx()).await.unwrap_err();
        assert!(matches!(error, Unread::Refused(_)), "{error}");
        assert_eq!(error.kind(), ErrorKind::Auth);
    }
    assert_eq!(read(Path::new("/dev/null"), &cx()).await.unwrap().bytes(), b"");
}

#[tokio::test(start_paused = true)]
async fn a_pipe_without_a_writer_costs_the_time_there_is_and_the_loop_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = fifo(&directory);
    let started = tokio::time::Instant::now();
    let cx = cx();
    let mut turns = 0;
    let others = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            turns += 1;
        }
    };
    let error = tokio::select! {
        read = read(&path, &cx) => read.unwrap_err(),
        () = others => unreachable!(),
    };
    assert!(matches!(error, Unread::Unwritten), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        started.elapsed() < LIMIT && turns > 0,
        "{turns} turns of the loop"
    );
}

#[tokio::test]
async fn what_a_writer_brings_late_and_in_pieces_is_read_to_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = fifo(&directory);
    let writing = std::thread::spawn({
        let path = path.clone();
        move || {
            // Waits until somebody reads.
            let mut pipe = File::options().write(true).open(path).unwrap();
            for piece in ["to", "ken", &"x".repeat(200_000)] {
                pipe.write_all(piece.as_bytes()).unwrap();
            }
        }
    });
    let body = read(&path, &cx()).await.unwrap();
    writing.join().unwrap();
    assert_eq!(body.bytes().len(), 5 + 200_000);
    assert!(body.bytes().starts_with(b"token"));
}

#[tokio::test]
async fn what_a_shell_puts_in_the_place_of_a_process_is_read() {
    use std::os::fd::AsRawFd;

    for is_written_before in [true, false] {
        let (reader, writer) = io::pipe().unwrap();
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        let write = move || (&writer).write_all(b"token\n").unwrap();
        let writing = match is_written_before {
            true => {
                write();
                drop(write);
                None
            }
            false => Some(std::thread::spawn(write)),
        };
        assert_eq!(read(&path, &cx()).await.unwrap().bytes(), b"token\n");
        writing.into_iter().for_each(|thread| thread.join().unwrap());
        // There is no more of it, and whoever needs it again has it nevertheless.
        assert_eq!(read(&path, &cx()).await.unwrap().bytes(), b"token\n");
        drop(reader);
    }
}

#[tokio::test]
async fn readers_of_one_pipe_all_have_the_whole_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = fifo(&directory);
    let writing = std::thread::spawn({
        let path = path.clone();
        move || std::fs::write(path, "t".repeat(100_000)).unwrap()
    });
    let cx = cx();
    for body in join_all((0..10).map(|_| read(&path, &cx))).await {
        assert_eq!(body.unwrap().bytes().len(), 100_000);
    }
    writing.join().unwrap();
    // Another pipe in its place is another one.
    std::fs::remove_file(&path).unwrap();
    let other = fifo(&directory);
    let writing = std::thread::spawn(move || std::fs::write(other, "new").unwrap());
    let read = read(&path, &cx).await.unwrap();
    writing.join().unwrap();
    assert_eq!(read.bytes().len(), 3);
}

#[tokio::test]
async fn a_file_system_in_trouble_is_asked_again_and_a_file_that_is_not_ours_is_not() {
    for (errno, kind) in [
        (Errno::STALE, ErrorKind::Unavailable),
        (Errno::IO, ErrorKind::Unavailable),
        (Errno::NOENT, ErrorKind::Auth),
        (Errno::ACCESS, ErrorKind::Auth),
    ] {
        let error = Unread::Refused(io::Error::from_raw_os_error(errno.raw_os_error()));
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn a_file_system_that_stalls_keeps_few_threads_and_is_asked_again_when_it_is_back() {
    let path = Path::new("/stalled");
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let stalls = (0..AT_ONCE).map(|_| {
        let (arrived, released) = (arrived.clone(), Arc::clone(&released));
        off_loop(path, LIMIT, move || {
            arrived.send(()).unwrap();
            // Until nobody can send any more.
            let _ = released.lock().unwrap().recv();
        })
    });
    let all_arrived = async {
        for _ in 0..AT_ONCE {
            arrivals.recv().await.unwrap();
        }
    };
    tokio::select! {
        _ = join_all(stalls) => panic!("they came back"),
        () = all_arrived => {}
    }

    let (looked, again) = mpsc::channel::<()>();
    let late = off_loop(path, Duration::ZERO, move || looked.send(())).await;
    assert!(matches!(late, Err(Unread::Stalled)));
    assert!(again.recv().is_err(), "one more thread went there");
    // Whoever wants another file is not held up.
    assert!(off_loop(Path::new("/other"), LIMIT, || true).await.unwrap());

    drop(release);
    assert!(off_loop(path, LIMIT, || true).await.unwrap());
}
