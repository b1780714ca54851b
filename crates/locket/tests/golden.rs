//! Transcripts of the command line: what is typed, what comes back. To add one, write a `.trycmd` file.

#[test]
fn transcripts() {
    trycmd::TestCases::new()
        .env("NOBODY", "")
        .case("tests/cmd/*.trycmd")
        .run();
}
