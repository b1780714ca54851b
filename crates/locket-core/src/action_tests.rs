use super::*;

#[test]
fn a_command_is_split_as_a_shell_would() {
    let parsed = Action::parse(r#"exec:/bin/sh -c 'kill -HUP "$1"' "a \"b\" \n" c\ d "#).unwrap();
    let argv = ["/bin/sh", "-c", "kill -HUP \"$1\"", "a \"b\" \\n", "c d"]
        .map(String::from)
        .to_vec();
    assert_eq!(parsed, Action::Exec { argv });
    let refusal = |text| Action::parse(text).unwrap_err().message;
    assert!(refusal("exec:'open").contains("never closed"));
    assert!(refusal("exec: ").contains("no program"));
}

#[test]
fn a_pid_file_may_hold_colons() {
    let signal = Signal::parse("HUP").unwrap();
    assert_eq!(
        Action::parse("pid:/run/a:b.pid:HUP"),
        Ok(Action::Pid {
            file: "/run/a:b.pid".into(),
            signal
        })
    );
    let error = Action::parse("pid:/run/x.pid:HPU").unwrap_err();
    assert_eq!(
        (error.span, error.help.as_deref()),
        (Span::new(15, 18), Some("Did you mean `HUP`?"))
    );
    assert!(Action::parse("pid:HUP").is_err());
}

#[test]
fn every_kind_comes_back_from_how_it_is_shown() {
    for text in [
        "pid:/run/x.pid:SIGHUP",
        "container:web-1:SIGUSR1",
        "container:web:restart",
        "compose:shop/web_2:SIGHUP",
        "compose:shop/db:restart",
        "service:shop_web",
        "unit:getty@tty1.service:reload",
        "unit:nginx.service:restart",
        "http:https://hooks.example.com",
        "auto:proxy",
    ] {
        assert_eq!(Action::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(
        Action::parse("container:web:1").unwrap().to_string(),
        "container:web:SIGHUP"
    );
}

#[test]
fn an_address_is_shown_without_what_may_be_a_key() {
    let action = Action::parse("http:https://hooks.example.com:8443/t/0123456789abcdef?key=x").unwrap();
    assert_eq!(action.to_string(), "http:https://hooks.example.com:8443");
    assert_eq!(
        Action::parse("https://hooks.example.com/t").unwrap(),
        Action::parse("http:https://hooks.example.com/t").unwrap()
    );
    assert_eq!(
        Action::parse("http:https://h.example?key=x").unwrap().to_string(),
        "http:https://h.example"
    );
}

#[test]
fn a_mistake_is_told_at_its_place_with_what_to_write() {
    for (text, place, message) in [
        ("container:web:HPU", "HPU", "`HPU` is no signal"),
        ("container:web:restrt", "restrt", "`restrt` is no signal"),
        ("container:we b:HUP", "we b", "is not the name of a container"),
        ("container:web", "container:web", "lacks a part"),
        ("container:../x:HUP", "../x", "is not the name of a container"),
        ("compose:web:HUP", "web", "named with its project"),
        ("compose:shop/:HUP", "compose:shop/:HUP", "lacks a part"),
        ("compose:shop/a b:HUP", "a b", "is not the name of a container"),
        ("service:", "service:", "lacks a part"),
        ("unit:nginx.service:stop", "stop", "cannot be told `stop`"),
        ("unit:--now:reload", "--now", "is not the name of a unit"),
        ("http:ftp://x", "ftp://x", "not an http:// or https:// address"),
        (
            "http:http://u:p@h/",
            "http://u:p@h/",
            "carries a user name or password",
        ),
        ("http:http:///x", "http:///x", "has no host"),
    ] {
        let wrong = Action::parse(text).unwrap_err();
        assert!(wrong.message.contains(message), "{text}: {}", wrong.message);
        assert_eq!(wrong.span.of(text.as_bytes()), place.as_bytes(), "{text}");
        assert!(wrong.help.is_some(), "{text}");
    }
    let help = |text| Action::parse(text).unwrap_err().help;
    assert_eq!(help("exce:true").as_deref(), Some("Did you mean `exec`?"));
    assert_eq!(
        help("container:web:restrt").as_deref(),
        Some("Did you mean `restart`?")
    );
}

#[test]
fn arguments_stay_out_of_logs() {
    assert_eq!(
        Action::parse("exec:curl -u user:pass").unwrap().to_string(),
        "exec:curl"
    );
}

#[test]
fn of_an_address_only_the_host_is_shown_wherever_it_stands() {
    for (text, shown) in [
        (
            "http:https://u:p@h.example/t?k=v",
            "http:https://***@h.example******",
        ),
        (
            "https://h.example:8443/t, container:web:HUP",
            "https://h.example:8443**, container:web:HUP",
        ),
        ("https://h/a,b;exec:true", "https://h****;exec:true"),
        ("exec:true\n http://u@h#x", "exec:true\n http://*@h**"),
        (
            "/a:/b:notify=http:http://u:p@h,mode=0440",
            "/a:/b:notify=http:http://***@h,mode=0440",
        ),
        ("'https://u:\u{fc} @h'", "'https://**** @h'"),
        ("htps://u:p@h", "htps://***@h"),
        ("http:u:p/x@h", "http:*****@h"),
        ("in:out:mode=0440", "in:out:mode=0440"),
        ("a={{ op://v/i/f }},pid:/x:HUP", "a={{ op://v/i/f }},pid:/x:HUP"),
        ("", ""),
    ] {
        let veiled = veiled(text);
        assert_eq!(veiled, shown);
        assert_eq!(veiled.len(), text.len(), "places stay true");
    }
}
