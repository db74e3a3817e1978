//! Many viewers, viewers who take nothing, and the end.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::limits::CONNECTIONS;
use super::*;

#[test]
fn ten_viewers_at_once_see_the_same() {
    let running = Running::of(&office(), OFFICE, true);
    let expected = running.json("/api/v1/windows/merged?open=true&rows=100");
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(running.json("/api/v1/windows/merged?open=true&rows=100"), expected);
                    assert!(running.json("/api/v1/rates")["account"].is_object());
                }
            });
        }
    });
    let connections = &running.server.shared().connections;
    assert_eq!(connections.accepted.load(std::sync::atomic::Ordering::Relaxed), 101);
}

#[test]
fn who_comes_when_all_places_are_taken_waits_for_one() {
    let running = Running::without_summaries();
    let address = running.server.address();
    let mut silent: Vec<TcpStream> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut late = TcpStream::connect(address).unwrap();
    late.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    late.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut octets = [0; 12];
    assert!(late.read(&mut octets).is_err(), "answered though all places are taken");
    drop(silent.pop());
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    late.read_exact(&mut octets).unwrap();
    assert_eq!(&octets, b"HTTP/1.1 200");
    let counters = &running.server.shared().connections;
    assert_eq!(counters.waited.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn it_ends_with_the_program_whoever_is_connected() {
    let running = Running::without_summaries();
    let _silent = TcpStream::connect(running.server.address()).unwrap();
    assert_eq!(running.get("/healthz").status, 200);
    let address = running.server.address();
    let began = Instant::now();
    drop(running);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let running = Running::without_summaries();
    let shared = Arc::new(Shared::new(None, Arc::default(), Arc::default()));
    let error = ApiServer::start(running.server.address(), shared).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
