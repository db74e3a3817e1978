//! A journal that is full says so when it is more than that indexing has to catch up.

use super::*;

/// Where what decoding knows cannot be written, nothing of the journal is released; where it can again, all goes on.
#[test]
fn a_journal_that_stays_full_is_told_and_goes_on_when_it_can() {
    let directory = tempfile::tempdir().unwrap();
    let in_the_way = directory.path().join("templates.json");
    std::fs::create_dir(&in_the_way).unwrap();
    let mut config = config(directory.path());
    config.journal_octets = 16 << 20;
    let collector = Collector::start(config).unwrap();
    let running = Running { collector, directory };
    let mut tcp = TcpStream::connect(running.collector.address(Transport::Tcp).unwrap()).unwrap();
    // Sets of a kind that nobody knows are quickly done with.
    for number in 0..600 {
        tcp.write_all(&message(8, number, &[set(200, &[0; 60_000])])).unwrap();
    }
    let began = Instant::now();
    let wait_until = |is_so: &dyn Fn(&Json) -> bool| loop {
        let status = running.get("/api/v1/status");
        if is_so(&status) {
            break status;
        }
        assert!(began.elapsed() < 2 * PATIENCE, "{status}");
        std::thread::sleep(Duration::from_millis(10));
    };
    let full = |status: &Json| {
        let line = status["trouble"].as_str().unwrap_or_default();
        line.contains("it is full although all of it is indexed") && line.contains("templates.json")
    };
    let status = wait_until(&full);
    assert_eq!(status["journal"]["is_full"], true);
    let entries = status["journal"]["entries"].as_u64().unwrap();
    assert!((200..300).contains(&entries), "{status}");
    std::fs::remove_dir(&in_the_way).unwrap();
    let goes_on = |status: &Json| status["journal"]["entries"] == 600 && status["journal"]["waiting"] == 0;
    let status = wait_until(&goes_on);
    assert!(status["journal"]["octets"].as_u64().unwrap() <= 16 << 20, "{status}");
    wait_until(&|status| status["trouble"].is_null() && status["journal"]["is_full"] == false);
    let accounts = running.collector.stop();
    assert!(accounts.balanced());
}

/// Far more than the journal holds comes at once, and all of it passes through.
#[test]
fn a_small_journal_takes_more_than_it_holds_in_one_go() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.journal_octets = 16 << 20;
    let collector = Collector::start(config).unwrap();
    let running = Running { collector, directory };
    let to = running.collector.address(Transport::Tcp).unwrap();
    std::thread::scope(|scope| {
        for domain in 0..4 {
            scope.spawn(move || {
                let mut tcp = TcpStream::connect(to).unwrap();
                for number in 0..300 {
                    tcp.write_all(&message(domain, number, &[set(200, &[0; 60_000])]))
                        .unwrap();
                }
            });
        }
    });
    running.wait_for("/journal/entries", 1_200);
    running.wait_for("/journal/waiting", 0);
    let status = running.get("/api/v1/status");
    assert!(status["journal"]["octets"].as_u64().unwrap() <= 16 << 20, "{status}");
    assert!(running.collector.stop().balanced());
}
