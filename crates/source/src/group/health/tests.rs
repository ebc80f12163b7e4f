use super::*;

const SLOW: Duration = Duration::from_millis(400);

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A member that has answered a hundred files, 30 ms each, with steps of 40 ms.
fn known() -> Health {
    let health = Health::new();
    for _ in 0..100 {
        health.answered(Asked::File, milliseconds(30), &[milliseconds(40)]);
    }
    health
}

#[tokio::test(start_paused = true)]
async fn a_member_is_held_to_what_it_did_lately() {
    let health = Health::new();
    assert_eq!(health.limits(Asked::File).first_byte, UNKNOWN);
    for count in 1..=100 {
        health.answered(Asked::File, milliseconds(count + 100), &[]);
    }
    // Of the last 64, which are 137 to 200 ms, the 61st.
    assert_eq!(health.limits(Asked::File).first_byte, milliseconds(197));
    assert_eq!(
        health.limits(Asked::Answer).first_byte,
        UNKNOWN,
        "lists and files have limits of their own"
    );
}

#[tokio::test(start_paused = true)]
async fn no_limit_is_finer_than_the_machine() {
    let health = Health::new();
    for _ in 0..20 {
        health.answered(Asked::File, Duration::from_micros(90), &[]);
    }
    assert_eq!(health.limits(Asked::File).first_byte, LEAST);
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_make_it_ill_and_single_ones_do_not() {
    let health = known();
    let now = Instant::now();
    for _ in 0..50 {
        health.failed(now, SLOW);
        health.failed(now, SLOW);
        health.answered(Asked::File, milliseconds(30), &[]);
    }
    assert_eq!(health.condition(now), Condition::Well);
    (0..3).for_each(|_| health.failed(now, SLOW));
    assert_eq!(health.condition(now), Condition::Ill);
}

#[tokio::test(start_paused = true)]
async fn it_is_well_again_after_two_probes_in_time_and_not_after_slow_ones() {
    let health = known();
    (0..3).for_each(|_| health.failed(Instant::now(), SLOW));
    let good = milliseconds(50);
    let steps = [milliseconds(70)];
    let mut probes = 0;
    let mut probe = |found: Option<(Asked, Duration, &[Duration])>| {
        let now = Instant::now();
        if health.wants_probe(now) {
            assert!(!health.wants_probe(now), "one at a time");
            health.probed(now, found);
            probes += 1;
        }
        (probes, health.condition(now))
    };
    assert_eq!(
        probe(Some((Asked::File, good, &steps))),
        (0, Condition::Ill)
    );
    tokio::time::advance(FIRST_REST).await;
    // Ten times slower than it was: not back.
    assert_eq!(probe(Some((Asked::File, SLOW, &[]))), (1, Condition::Ill));
    tokio::time::advance(FIRST_REST).await;
    assert_eq!(
        probe(None),
        (1, Condition::Ill),
        "it rests twice as long the second time"
    );
    tokio::time::advance(FIRST_REST).await;
    assert_eq!(
        probe(Some((Asked::File, good, &steps))),
        (2, Condition::Ill)
    );
    assert_eq!(
        probe(Some((Asked::File, good, &steps))),
        (3, Condition::Well)
    );
}

#[tokio::test(start_paused = true)]
async fn whose_file_was_refused_is_mistrusted_for_longer_each_time() {
    let health = known();
    health.refused(Instant::now());
    tokio::time::advance(MISTRUST - milliseconds(1)).await;
    assert_eq!(health.condition(Instant::now()), Condition::Mistrusted);
    assert!(!health.wants_probe(Instant::now()), "a probe can't tell");
    tokio::time::advance(milliseconds(1)).await;
    assert_eq!(health.condition(Instant::now()), Condition::Ill);
    health.refused(Instant::now());
    tokio::time::advance(MISTRUST).await;
    assert_eq!(health.condition(Instant::now()), Condition::Mistrusted);
    assert_eq!(health.report(Instant::now()).refused_files, 2);
}

#[tokio::test(start_paused = true)]
async fn silent_is_who_says_nothing_to_anybody() {
    let health = known();
    let limit = milliseconds(40);
    health.heard(Instant::now());
    (0..3).for_each(|_| health.overdue());
    assert!(
        !health.is_silent(Instant::now(), limit),
        "it has just spoken"
    );
    tokio::time::advance(limit).await;
    assert!(health.is_silent(Instant::now(), limit));
    health.no_longer_overdue();
    assert!(!health.is_silent(Instant::now(), limit), "two are no proof");
}
