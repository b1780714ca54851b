//! Every finding that there is. The reference page is made of this table.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, and is less safe than it could be.
    Warning,
    /// It does not work, or somebody can read what they should not.
    Error,
}

/// One kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name that comments, baselines and machines use. It never changes.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, as a heading.
    pub title: &'static str,
    /// Why it matters, as sentences.
    pub why: &'static str,
    /// What to do about it, as sentences.
    pub cure: &'static str,
    /// Whether `--fix` can do that.
    pub is_fixable: bool,
}

macro_rules! rules {
    ($($name:ident = $id:literal $severity:ident $fix:literal $title:literal $why:literal $cure:literal;)*) => {
        $(pub(super) static $name: Rule = Rule {
            id: $id,
            severity: Severity::$severity,
            title: $title,
            why: $why,
            cure: $cure,
            is_fixable: $fix,
        };)*

        /// Every kind of finding, in the order of the reference page.
        pub static RULES: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    COMPOSE_MISTAKE = "compose-mistake" Error false
        "Compose refuses the file"
        "What Compose cannot read, it does not start; and what cannot be read cannot be checked either."
        "Correct the place that is shown. A file without a place is named with the reason why it cannot be read.";
    SECRET_FILE_MISSING = "secret-file-missing" Error true
        "The file of a secret does not exist"
        "Compose ends with `no such file or directory`, or the engine makes an empty directory in its place."
        "Make the file with the command that is shown. `--fix` makes passwords that nobody else has to know: 32 random bytes in base64, without a line end. What somebody else gave you, such as a token, only you can put there.";
    SECRET_FILE_EMPTY = "secret-file-empty" Error false
        "The file of a secret is empty"
        "A service with an empty password refuses to start, or lets everybody in."
        "Write the value into the file, or remove it and run the check again for the command that makes it.";
    SECRET_FILE_MODE = "secret-file-mode" Error true
        "Others on this machine can read a secret"
        "Every user and every program of this machine can read a file with such a mode, unless a directory above it is shut for them."
        "`chmod 600` on the file, or `chmod 700` on its directory where a container with a user of its own needs the file's mode. `--fix` does what fits.";
    SECRET_FILE_UNREADABLE = "secret-file-unreadable" Error true
        "The user of a service cannot read its secret"
        "Compose mounts the file with the owner and mode that it has here; `uid`, `gid` and `mode` of the grant do not count for files. The program ends with `permission denied`."
        "Give the file to that user, or let others read it inside a directory that is shut for them. `--fix` does the first as root, and the second in a directory of the project that is for secrets.";
    SECRET_FILE_WHITESPACE = "secret-file-whitespace" Warning true
        "A secret begins or ends with white space"
        "`echo` ends its line, and many programs take the line end for a part of the password."
        "Remove it: `printf %s` writes none. `--fix` does it. Certificates, keys and other texts of several lines are not reported.";
    SECRET_FILE_TRACKED = "secret-file-tracked" Error false
        "A file with a secret is in git"
        "Everybody who has the repository has the secret, in every old version, for ever."
        "Take it out of the index with `git rm --cached`, ignore it, and change the secret: it is known.";
    SECRET_FILE_UNIGNORED = "secret-file-unignored" Error true
        "Git would add a file with a secret"
        "The next `git add .` commits it."
        "Add it to `.gitignore`. `--fix` does it.";
    SECRET_FILE_OLD = "secret-file-old" Warning false
        "A secret was not changed for a long time"
        "Whoever learned it in that time still knows it. Reported with `--max-age` only."
        "`locket rotate NAME` changes it, in the service first.";
    PLAIN_CREDENTIAL = "plain-credential" Error false
        "A credential stands in a Compose file"
        "Compose files are copied, committed and shown, and variables, labels and command lines are in `docker inspect`. The default of a variable (`${NAME:-default}`) is a value like any other."
        "Put it into a secret file and grant it as a secret; where the image takes no file, take the value from a variable without a default. `locket migrate` does it for a whole project.";
    ENV_FILE_CREDENTIAL = "env-file-credential" Warning false
        "A credential stands in a file of variables"
        "What a container gets as a variable is in `docker inspect`, in crash reports and in every child process; and such files are copied with their project."
        "Put it into a secret file, or put a reference in its place and start with `locket exec`.";
    BUILD_ARG_CREDENTIAL = "build-arg-credential" Error false
        "A credential is an argument of a build"
        "Arguments stay in the history of the image, where everybody who has the image can read them."
        "Give it to the build as a secret: `build: secrets:` and `RUN --mount=type=secret` in the Dockerfile.";
    UNDECLARED_SECRET = "undeclared-secret" Error false
        "A service gets a secret that is not declared"
        "Compose refuses the project."
        "Declare the name under `secrets:` at the top of the file, or correct its spelling.";
    UNUSED_SECRET = "unused-secret" Warning false
        "A secret is declared and nobody gets it"
        "It is either forgotten or meant for a service that does not name it."
        "Name it under `secrets:` of a service, or remove the declaration and its file.";
    SECRET_OPTIONS_IGNORED = "secret-options-ignored" Warning false
        "Compose ignores `uid`, `gid` or `mode` of a secret"
        "A secret of a file is mounted as the file is; only the Swarm honours these."
        "Remove them, and give the file the owner and mode that the service needs.";
    FILE_VARIABLE_UNREAD = "file-variable-unread" Error true
        "The image does not read this variable"
        "The name looks like one that takes a secret's file, and the image ignores it: the service runs with a default password, or with none."
        "Use the image's own spelling. Where it takes no file at all, a start command can read it; `locket init` writes one. `--fix` corrects spellings.";
    FILE_VARIABLE_DANGLING = "file-variable-dangling" Error false
        "A variable names a secret's file that the service does not get"
        "The path below `/run/secrets` does not exist in the container."
        "Grant the secret under `secrets:` of the service, or correct the path.";
    FILE_VARIABLE_DOUBLED = "file-variable-doubled" Error false
        "A value is given as itself and as a file"
        "Images that take both refuse to start when both are there."
        "Remove the variable that holds the value.";
    UNKNOWN_CONDITION = "unknown-condition" Error true
        "A condition of `depends_on` does not exist"
        "Compose refuses the project. It knows `service_started`, `service_healthy` and `service_completed_successfully`."
        "Write one of these. `--fix` corrects `healthy`, `started` and `completed`.";
    UNASKED_HEALTH = "unasked-health" Error false
        "A service waits for the health of one that has no health check"
        "Compose does not start it: `container … has no healthcheck configured`. Reported for images that are known to bring no check of their own."
        "Give the other service a `healthcheck:`, such as the one that is shown, or wait for `service_started`.";
    BAD_REFERENCE = "bad-reference" Error false
        "A reference to a secret has a mistake"
        "It will not be resolved, and what needs it does not start."
        "Correct the place that is shown. It may stand in a template, a file of variables, a map, the configuration, or an option of a Compose provider.";
    CONFIGURATION_MISTAKE = "configuration-mistake" Error false
        "The configuration has a mistake"
        "No command that reads this configuration starts, `locket run` refuses what it says, or leaves a part of it out."
        "Correct what is shown. `locket schema` prints a JSON schema that editors understand; `locket plan --offline` shows what a run would refuse.";
    UNRESOLVED_REFERENCE = "unresolved-reference" Error false
        "A reference has no value"
        "The provider was asked, with `--resolve`, and has no such secret, refuses it, or does not answer."
        "Correct the reference, make the secret, or give the credential the right to read it.";
    OUTPUT_ON_DISK = "output-on-disk" Warning false
        "Secrets are written to a disk"
        "What was once on a disk can be read from it later, from a backup or from a discarded machine."
        "Write them to memory: a volume with `driver_opts: {type: tmpfs, device: tmpfs}`, the volume driver of locket, or a directory of a tmpfs, which `/run` is on most machines. Where it is none, mount one: `mount -t tmpfs -o mode=0755 tmpfs DIRECTORY`.";
    OUTPUT_IN_PLACE = "output-in-place" Warning false
        "A file that secrets are written to is itself a mount point"
        "It cannot be replaced in one step. It is written in place, where a reader can see a part of it, and a kill can leave it torn."
        "Mount its directory instead of the single file.";
}

impl Rule {
    /// The rule called `id`.
    pub fn find(id: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.id == id).copied()
    }
}

impl Severity {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Every rule as the documentation shows it: a section each, in Markdown.
pub fn page() -> String {
    let section = |rule: &&Rule| {
        let fix = if rule.is_fixable { " · `--fix`" } else { "" };
        format!(
            "\n## {}\n\n{}{fix} · {}.\n\n{} {}\n",
            rule.id,
            rule.severity.name(),
            rule.title,
            rule.why,
            rule.cure
        )
    };
    RULES.iter().map(section).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_and_stand_once() {
        let mut names: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
        let is_name = |name: &&str| name.chars().all(|char| char.is_ascii_lowercase() || char == '-');
        assert!(names.iter().all(is_name));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
        assert!(
            RULES
                .iter()
                .all(|rule| rule.why.ends_with('.') && rule.cure.ends_with('.'))
        );
    }
}
