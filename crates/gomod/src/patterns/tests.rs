use super::PathPatterns;

#[test]
fn lists_join_and_know_when_they_match_nothing() {
    let none = PathPatterns::default();
    let team = PathPatterns::parse("git.example.com/team");
    let corp = PathPatterns::parse("*.corp,*.internal");
    assert!(none.is_empty() && PathPatterns::parse(",/,[").is_empty());
    assert!(!team.is_empty());
    assert_eq!(none.union(&team), team);
    assert_eq!(team.union(&none), team);
    assert_eq!(team.union(&team), team);
    let both = team.union(&corp);
    assert_eq!(both.as_str(), "git.example.com/team,*.corp,*.internal");
    for target in ["git.example.com/team/a", "a.corp", "b.internal/x/y"] {
        assert!(both.matches(target), "{target}");
    }
    assert!(!both.matches("git.example.com/other"));
}
