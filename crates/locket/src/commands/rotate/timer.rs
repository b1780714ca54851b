//! Units for systemd that rotate what has grown old.

use std::path::Path;

/// The two units, by their names.
pub(super) fn units(program: &Path, directory: &Path, older_than: &str) -> [(&'static str, String); 2] {
    let quoted = |path: &Path| {
        format!(
            "\"{}\"",
            path.display()
                .to_string()
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('%', "%%")
        )
    };
    let service = format!(
        "# Made by `locket rotate --schedule`.
[Unit]
Description=Rotate the old secrets of {shown}
Wants=docker.service
After=docker.service

[Service]
Type=oneshot
WorkingDirectory={plain}
ExecStart={program} rotate --all --older-than {older_than}
UMask=0077
NoNewPrivileges=yes
",
        shown = directory.display().to_string().replace('%', "%%"),
        plain = directory.display().to_string().replace('%', "%%"),
        program = quoted(program),
    );
    let timer = "# Made by `locket rotate --schedule`.
[Unit]
Description=Rotate old secrets

[Timer]
OnCalendar=daily
RandomizedDelaySec=1h
Persistent=yes

[Install]
WantedBy=timers.target
"
    .to_owned();
    [("locket-rotate.service", service), ("locket-rotate.timer", timer)]
}
