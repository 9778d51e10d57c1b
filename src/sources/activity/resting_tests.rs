//! Whatever a process does in a thread of its own, a look by little shows what a whole one shows, or leaves it to that.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::domain::activity::Activity;
use crate::domain::ids::Pid;
use crate::sources::activity::Activities;
use crate::sources::sockets::connected::{Connected, Network};

/// Its main thread rests for good; another does what it reads.
const WORKER: &str = "import socket, subprocess, sys, threading\n\
    started = lambda it: it.start() or it\n\
    def work():\n    \
        for line in open(sys.argv[1]):\n        \
            what = line.strip()\n        \
            if what == 'thread': over = threading.Event(); it = started(threading.Thread(target=over.wait, daemon=True))\n        \
            elif what == 'end': over.set(); it.join()\n        \
            elif what == 'server': child = subprocess.Popen(['cat'], stdin=subprocess.PIPE)\n        \
            elif what == 'command': child = subprocess.Popen(['sleep', '600'], stdin=subprocess.DEVNULL)\n        \
            elif what == 'kill': child.kill(); child.wait()\n        \
            elif what == 'connect': peer = socket.create_connection(('127.0.0.1', int(sys.argv[2])))\n        \
            elif what == 'hang up': peer.close()\n        \
            elif what == 'spin': sum(range(300000))\n        \
            print('d', end='', flush=True)\n\
    threading.Thread(target=work, daemon=True).start()\n\
    print('r', end='', flush=True)\n\
    sys.stdin.read()";

struct Worker {
    child: Child,
    orders: File,
    pid: Pid,
}

impl Worker {
    #[expect(clippy::disallowed_methods, reason = "a test starts a worker of its own")]
    fn start(port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("orders");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut command = Command::new("python3");
        command
            .args(["-c", WORKER])
            .arg(&pipe)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let orders = File::create(&pipe).unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let pid = Pid::new(child.id().into()).unwrap();
        Self { child, orders, pid }
    }

    fn does(&mut self, what: &str) {
        writeln!(self.orders, "{what}").unwrap();
        self.child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        // Until it has gone back to its pipe.
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// All but the time that it ran.
fn shown(activity: Activity) -> Activity {
    Activity { ran: Duration::ZERO, ..activity }
}

fn whole(activities: &mut Activities, pid: Pid) -> Activity {
    let network = Network::of(pid);
    let inodes = Connected::default().seen_by(pid, network).unwrap();
    activities.read_and_keep(pid, (network, &inodes), |_| true).unwrap().unwrap().1
}

fn little(activities: &mut Activities, pid: Pid) -> Option<Activity> {
    Some(activities.glance(pid, &mut Connected::default())?.1)
}

#[test]
fn a_look_by_little_shows_what_a_whole_one_shows_or_leaves_it_to_that() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut worker = Worker::start(listener.local_addr().unwrap().port());
    let pid = worker.pid;
    let (mut kept, mut fresh) = (Activities::open().unwrap(), Activities::open().unwrap());
    std::thread::sleep(Duration::from_millis(200));
    whole(&mut kept, pid);
    let mut ran = Duration::ZERO;
    // What it does, and whether a look by little is enough to see it.
    for (what, is_enough) in [
        ("nothing", true),
        ("spin", true),
        ("thread", false),
        ("nothing", true),
        ("end", false),
        ("server", false),
        ("spin", true),
        ("kill", false),
        ("connect", true),
        ("hang up", false),
        ("nothing", true),
        ("command", false),
        ("kill", false),
        ("spin", true),
    ] {
        worker.does(what);
        let seen = little(&mut kept, pid);
        let all = whole(&mut fresh, pid);
        assert_eq!(seen.is_some(), is_enough, "{what}: {seen:?}, and it is {all:?}");
        if let Some(seen) = seen {
            assert_eq!(shown(seen), shown(all), "{what}");
            assert!(seen.ran > ran && seen.ran <= all.ran, "{what}: {seen:?}, and it is {all:?}");
        }
        ran = all.ran;
        // At the next one as well.
        if let Some(seen) = little(&mut kept, pid) {
            assert_eq!(shown(seen), shown(all), "{what}");
        }
        whole(&mut kept, pid);
    }
}

#[test]
fn one_that_is_gone_is_left_to_a_whole_look_and_so_is_one_whose_main_thread_ran() {
    let mut worker = Worker::start(1);
    let mut kept = Activities::open().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    whole(&mut kept, worker.pid);
    assert!(little(&mut kept, worker.pid).is_some());
    worker.child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(little(&mut kept, worker.pid).is_none(), "its main thread read that");
    whole(&mut kept, worker.pid);
    worker.child.kill().unwrap();
    worker.child.wait().unwrap();
    assert!(little(&mut kept, worker.pid).is_none());
}

#[test]
fn nothing_stays_open_of_one_that_works_nor_of_one_that_is_not_wanted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut worker = Worker::start(listener.local_addr().unwrap().port());
    let mut kept = Activities::open().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    whole(&mut kept, worker.pid);
    kept.keep(|_| false);
    assert!(little(&mut kept, worker.pid).is_none());
    worker.does("connect");
    assert!(whole(&mut kept, worker.pid).work_now().is_some());
    assert!(little(&mut kept, worker.pid).is_none());
}
