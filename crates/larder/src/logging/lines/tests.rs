use super::*;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A reader of the log that takes nothing until it is told to.
struct Stalled {
    called: Sender<()>,
    go_on: Receiver<()>,
    read: Arc<Mutex<Vec<u8>>>,
}

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Whoever listens may be gone once it knows enough.
        let _told = self.called.send(());
        let _gone = self.go_on.recv();
        self.read.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a reader sees that stalls at the first line while `count` lines of 1 KiB are logged.
fn read_after_stall(format: LogFormat, count: usize) -> String {
    let (called, was_called) = channel();
    let (wake, go_on) = channel();
    let read = Arc::new(Mutex::new(Vec::new()));
    let out = Stalled {
        called,
        go_on,
        read: Arc::clone(&read),
    };
    let lines = Lines::to(out, format).unwrap();
    lines.make_writer().write_all(b"first\n").unwrap();
    was_called.recv().unwrap();
    let line = format!("{}\n", "x".repeat(1023));
    for _ in 0..count {
        lines.make_writer().write_all(line.as_bytes()).unwrap();
    }
    drop(wake);
    lines.close();
    let read = read.lock();
    String::from_utf8(read.clone()).unwrap()
}

#[test]
fn what_was_logged_before_the_end_is_written() {
    let read = read_after_stall(LogFormat::Text, 1024);
    assert_eq!(read.len(), "first\n".len() + (1 << 20));
    assert_eq!(read.lines().count(), 1025);
}

#[test]
fn a_stalled_reader_costs_lines_and_is_told_how_many() {
    let read = read_after_stall(LogFormat::Text, 1031);
    assert_eq!(read.lines().count(), 1 + 1024 + 1);
    let last = read.lines().last().unwrap();
    assert!(last.ends_with("too slow lines=7"), "{last}");

    let read = read_after_stall(LogFormat::Json, 1025);
    let last: serde_json::Value = serde_json::from_str(read.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["lines"], &last["level"]),
        (&1.into(), &"WARN".into())
    );
}

#[test]
fn a_reader_that_never_reads_again_does_not_keep_the_process() {
    let (called, was_called) = channel();
    let (_wake, go_on) = channel();
    let read = Arc::new(Mutex::new(Vec::new()));
    let lines = Lines::to(
        Stalled {
            called,
            go_on,
            read: Arc::clone(&read),
        },
        LogFormat::Text,
    )
    .unwrap();
    lines.make_writer().write_all(b"first\n").unwrap();
    was_called.recv().unwrap();
    lines.close();
    assert!(read.lock().is_empty());
}
