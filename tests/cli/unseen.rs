//! A loopback address whose other end is in another network namespace (a container's port, forwarded): who listens can't be seen from here.

use crate::place::Place;
use crate::privileges::has_root;

/// Makes two network namespaces. In the first, where the reaper is, the route to 127.0.0.5 leads to the second, where something listens
/// there and writes down what it is sent.
const STAGE: &str = r#"
set -e
unshare -n sleep 60 & other=$!
# It has a network namespace of its own as soon as it says so.
while [ "$(readlink /proc/$other/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
there() { nsenter -t $other -n "$@"; }
ip link add near type veth peer name far
ip link set far netns $other
ip link set lo up
ip addr del 127.0.0.1/8 dev lo
ip addr add 10.9.0.1/24 dev near
ip link set near up
there sh -c '
    ip link set lo up
    ip addr add 10.9.0.2/24 dev far
    ip link set far up
    echo 1 > /proc/sys/net/ipv4/conf/far/route_localnet
    for of in all far; do echo 0 > /proc/sys/net/ipv4/conf/$of/rp_filter; done'
echo 1 > /proc/sys/net/ipv4/conf/near/route_localnet
for of in all near; do echo 0 > /proc/sys/net/ipv4/conf/$of/rp_filter; done
ip route add 127.0.0.5/32 via 10.9.0.2 dev near src 10.9.0.1
there python3 -c '
import socket
server = socket.create_server(("127.0.0.5", 8080))
print("listening", file=open("listening", "w"), flush=True)
while True:
    client, _ = server.accept()
    client.settimeout(10)
    heard = client.recv(1000)
    with open("heard", "a") as file:
        file.write(f"a client, and {heard!r}\n")
    client.close()' &
while [ ! -e listening ]; do sleep 0.02; done
set +e
"$@"
code=$?
# Until it has written down what the last client sent.
while [ ! -e heard ]; do sleep 0.02; done
exit $code
"#;

#[test]
fn a_loopback_connection_whose_other_end_cannot_be_seen_is_sent_nothing() {
    if !has_root("a_loopback_connection_whose_other_end_cannot_be_seen_is_sent_nothing") {
        return;
    }
    let section = "[[gateway]]\nname = \"desk\"\nkind = \"http\"\nurl = \"http://127.0.0.5:8080/sessions\"\n";
    let place = Place::with(&format!("{section}token_env = \"TOKEN\"\n"));
    let args = ["-n", "-pf", "--kill-child", "--mount-proc", "sh", "-c", STAGE, "stage", crate::place::EXE];
    let once = |config: &str| {
        let ran = place.program("unshare", args.into_iter().chain(["--config", config, "once"]));
        let ran = ran.env("TOKEN", "s3cr3t").run();
        let heard = place.read("heard");
        std::fs::remove_file(place.path("listening")).unwrap();
        std::fs::remove_file(place.path("heard")).unwrap();
        (ran, heard)
    };
    let (ran, heard) = once("reaper.toml");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.out.contains("127.0.0.5:8080: ") && ran.out.contains("listener_user"), "{ran:?}");
    assert_eq!(heard, "a client, and b''\n", "{ran:?}");

    // Whoever knows that it is the gateway says so.
    place.write("any.toml", format!("{section}token_env = \"TOKEN\"\nlistener_user = \"any\"\n"));
    let (ran, heard) = once("any.toml");
    assert!(heard.contains("s3cr3t"), "{heard} {ran:?}");
}
