use super::*;
use crate::tests::scratch;

fn module_path() -> ModulePath {
    ModulePath::parse("example.com/Azure/sdk").unwrap()
}

fn resolve(name: &str) -> AnswerKey {
    AnswerKey::Resolve(
        Namespace::Shared,
        module_path(),
        Revision::parse(name).unwrap(),
    )
}

fn answer(body: &'static [u8]) -> Answer {
    Answer {
        body: Bytes::from_static(body),
        fetched_at: "2026-02-03T04:05:06.789Z".parse().unwrap(),
        source: "https://mirror.example".to_owned(),
    }
}

#[tokio::test]
async fn each_answer_is_kept_under_its_own_key_over_a_restart() {
    let (scratch, _staging) = scratch();
    let long = "b".repeat(240);
    let keys = [
        (
            AnswerKey::List(Namespace::Shared, module_path()),
            &b"v1.0.0\nv1.1.0\n"[..],
        ),
        (
            AnswerKey::Latest(Namespace::Shared, module_path()),
            b"{\"Version\":\"v1.1.0\"}",
        ),
        (resolve("list"), b"1"),
        (resolve("latest"), b"2"),
        (resolve("Main"), b"3"),
        (resolve("main"), b""),
        (resolve(&long), b"\n\n"),
    ];
    let answers = Answers::open(scratch.path()).unwrap();
    for (key, body) in &keys {
        assert_eq!(answers.read(key).await.unwrap(), None);
        answers.write(key, &answer(b"replaced")).await.unwrap();
        answers.write(key, &answer(body)).await.unwrap();
    }
    let answers = Answers::open(scratch.path()).unwrap();
    for (key, body) in &keys {
        assert_eq!(
            answers.read(key).await.unwrap(),
            Some(answer(body)),
            "{key:?}"
        );
    }
}

#[tokio::test]
async fn a_damaged_answer_is_no_answer() {
    let (scratch, _staging) = scratch();
    let answers = Answers::open(scratch.path()).unwrap();
    let key = resolve("main");
    answers.write(&key, &answer(b"body")).await.unwrap();
    let path = answers.path(&key);
    let whole = fs_err::read(&path).unwrap();
    for len in 0..whole.len() {
        fs_err::write(&path, &whole[..len]).unwrap();
        assert_eq!(answers.read(&key).await.unwrap(), None, "{len} bytes");
    }
    for damaged in [vec![0; whole.len()], [&whole[..], b"x"].concat()] {
        fs_err::write(&path, damaged).unwrap();
        assert_eq!(answers.read(&key).await.unwrap(), None);
    }
    answers.write(&key, &answer(b"body")).await.unwrap();
    assert_eq!(answers.read(&key).await.unwrap(), Some(answer(b"body")));
}
