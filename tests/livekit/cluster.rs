//! Two real livekit-servers that share a Redis, and two workers. Skipped, with a word, where there is no
//! Redis.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use super::{
    OURS, THEIRS, Us, given,
    real::{KEY, PATIENCE, RealServer, SECRET},
    worker,
};

/// A Redis that keeps nothing; gone when it is dropped.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    async fn start() -> Option<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let started = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string()])
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            eprintln!("skipped: two servers need Redis; install the package redis-server");
            return None;
        };
        let redis = Self { child, port };
        let waiting = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_err()
            {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("Redis answers");
        Some(redis)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes an empty room, into which the server sends a worker.
async fn open(server: &RealServer, room: &str) {
    let grants = livekit_token::VideoGrants {
        room_create: true,
        ..Default::default()
    };
    let token = livekit_token::AccessToken::with_api_key(KEY, SECRET)
        .with_grants(grants)
        .to_jwt()
        .unwrap();
    let body = format!("{{\"name\":\"{room}\"}}");
    let request = format!(
        "POST /twirp/livekit.RoomService/CreateRoom HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port()))
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_rooms_are_spread_over_two_workers_and_one_that_is_killed_comes_back() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let shared = format!("redis: {{address: \"127.0.0.1:{}\"}}\n", redis.port);
    let (Some(a), Some(b)) = (
        RealServer::with(&shared).await,
        RealServer::with(&shared).await,
    ) else {
        return;
    };
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut tasks = [JoinSet::new(), JoinSet::new()];
    let mut links: Vec<mpsc::Receiver<_>> = Vec::new();
    for (n, server) in [&a, &b].into_iter().enumerate() {
        let (worker, given) = worker(server, homes[n].path(), "");
        tasks[n].spawn(worker.run());
        server.has_logged("worker registered").await;
        links.push(given);
    }

    let mut rooms: [Vec<Us>; 2] = [Vec::new(), Vec::new()];
    let (first, second) = links.split_at_mut(1);
    for n in 0..10 {
        open(&a, &format!("room{n}")).await;
        let which = async {
            tokio::select! {
                link = first[0].recv() => (0, link),
                link = second[0].recv() => (1, link),
            }
        };
        let (which, link) = timeout(PATIENCE, which).await.expect("a job in time");
        rooms[which].push(Us::new(link.expect("a worker")));
    }
    let spread = [rooms[0].len(), rooms[1].len()];
    assert!(spread.iter().all(|n| *n >= 2), "{spread:?}");

    // In a call with the worker at A, of somebody who came in by B.
    let mut us = rooms[0].remove(0);
    let (room, name) = (us.link.room.clone(), us.link.us.clone());
    let mut anna = b.human(&room, "anna", "", THEIRS);
    us.hears("anna").await;
    us.meanwhile(anna.hears(name.as_str(), OURS)).await;
    tasks[0].shutdown().await;
    drop(us);
    rooms[0].clear();

    // Started again it finds its rooms by B, too.
    let (again, mut links) = worker(&b, homes[0].path(), "");
    tasks[0].spawn(again.run());
    let mut us = given(&mut links).await;
    while us.link.room != room {
        us = given(&mut links).await;
    }
    assert_eq!(us.link.us, name);
    us.hears("anna").await;
    us.meanwhile(anna.hears(name.as_str(), OURS)).await;
}
