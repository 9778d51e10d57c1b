//! The least that a look can cost: the gateway's subtree read raw, and one request for the table. Nothing is judged, nothing is safe
//! against reused PIDs; it is the yardstick and no more.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub(crate) struct Floor {
    gateway: u32,
    connection: BufReader<TcpStream>,
}

impl Floor {
    pub(crate) fn new(gateway: u32, address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { gateway, connection: BufReader::new(stream) }
    }

    /// One look, after a pause as long as that of the `watch` beside it. Returns its CPU time in milliseconds.
    pub(crate) fn poll(&mut self, pause: Duration) -> f64 {
        std::thread::sleep(pause);
        let before = cpu();
        let seen = subtree(self.gateway);
        let table = self.request();
        assert!(seen > 0 && table > 0, "the floor saw nothing");
        (cpu() - before).as_secs_f64() * 1e3
    }

    fn request(&mut self) -> usize {
        let request = b"GET /sessions HTTP/1.1\r\nhost: localhost\r\n\r\n";
        self.connection.get_mut().write_all(request).unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.connection.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body).unwrap();
        length
    }
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// The processes under one, each with its `stat` and its argv; returns how many there are.
fn subtree(pid: u32) -> usize {
    let mut seen = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_ascii_whitespace() {
            let stat = fs::read(format!("/proc/{child}/stat")).unwrap_or_default();
            let argv = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            seen += usize::from(!stat.is_empty() && !argv.is_empty());
            seen += subtree(child.parse().unwrap());
        }
    }
    seen
}
