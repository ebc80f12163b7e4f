//! Takes out of a message what differs from run to run: ports, times, folders, hashes, versions.

/// The message with everything replaced that another run would say differently.
pub fn masked(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !line.starts_with("go: downloading "))
        .map(masked_line);
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// As [`masked`], for what git says: where the fault was met, but not of which repository.
pub fn masked_git(text: &str) -> String {
    let text = masked(text);
    let message = text
        .split_once("': ")
        .filter(|(head, _)| head.contains("unable to access '"));
    let message = message.map_or(text.as_str(), |(_, message)| message);
    let message = between(message, "after ", " ms");
    let message = between(&message, " port ", " after");
    between(&message, " with ", " bytes")
}

fn masked_line(line: &str) -> String {
    if line.starts_with("— ") {
        return "— SIGNATURE".into();
    }
    if line.len() == 44 && line.ends_with('=') && !line.contains(' ') {
        return "HASH".into();
    }
    let words: Vec<String> = line.split(' ').map(masked_word).collect();
    let mut line = words.join(" ");
    for (before, after) in [
        ("CAfile: ", " CRLfile"),
        (" on ", ": "),
        ("running go ", ";"),
    ] {
        line = between(&line, before, after);
    }
    // Recordings say how long a client was waited for.
    line.split(" [after ").next().unwrap_or_default().to_owned()
}

/// What stands between the two becomes `…`.
fn between(line: &str, before: &str, after: &str) -> String {
    let Some((head, rest)) = line.split_once(before) else {
        return line.to_owned();
    };
    match rest.find(after) {
        Some(end) => format!("{head}{before}…{}", &rest[end..]),
        None => line.to_owned(),
    }
}

fn masked_word(word: &str) -> String {
    if is_time(word) {
        return "TIME".into();
    }
    // Both ends of a connection.
    if word.contains("->") {
        return "ADDRESS->ADDRESS:".into();
    }
    if word.contains("/cache/vcs/") {
        return "FOLDER:".into();
    }
    if word.contains("/known_hosts") {
        return "KNOWN_HOSTS".into();
    }
    if word.trim_start().starts_with("SHA256:") {
        return "\tFINGERPRINT".into();
    }
    if let Some(start) = word.find("h1:") {
        return format!("{}h1:HASH", &word[..start]);
    }
    without_ports(word)
}

/// RFC 3339 to the second, in UTC.
fn is_time(word: &str) -> bool {
    let word = word.trim_end_matches([',', '.', ';']);
    let shape = "dddd-dd-ddTdd:dd:ddZ";
    word.len() == shape.len()
        && word
            .chars()
            .zip(shape.chars())
            .all(|(letter, expected)| match expected {
                'd' => letter.is_ascii_digit(),
                other => letter == other,
            })
}

/// `host:20017` becomes `host`.
fn without_ports(word: &str) -> String {
    let mut masked = String::new();
    let mut rest = word.replace(":EPHEMERAL", "");
    while let Some(colon) = rest.find(':') {
        let behind = rest.split_off(colon + 1);
        let digits = behind.chars().take_while(char::is_ascii_digit).count();
        let after_host =
            rest[..colon].ends_with(|last: char| last.is_alphanumeric() || last == ']');
        if after_host && (2..=5).contains(&digits) {
            masked.push_str(&rest[..colon]);
            rest = behind[digits..].to_owned();
        } else {
            masked.push_str(&rest);
            rest = behind;
        }
    }
    masked + &rest
}
