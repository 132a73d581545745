//! The programs, started with the commands of docs/guide/cluster.md.

use std::{
    fs::{self, File},
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

const GUIDE: &str = include_str!("../../../../docs/guide/cluster.md");
const HAPROXY: &str = include_str!("../../../../docs/proxies/haproxy-cluster.cfg");

pub(super) struct Programs {
    pub(super) redis: Program,
    pub(super) nodes: Vec<Program>,
    pub(super) haproxy: Program,
    _folder: TempDir,
}

impl Programs {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Each program has its own address, whose ports no connection takes in the meantime.
        let listed = ["127.0.0.1:6379", "127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:3003", "127.0.0.1:8080"];
        let addresses: Vec<_> = (11_u8..).zip(listed).map(|(last, _)| free([127, 0, 0, last])).collect();
        let replaced = |text: &str| {
            let pairs = listed.iter().zip(&addresses);
            pairs.fold(text.to_owned(), |text, (listed, address)| text.replace(listed, &address.to_string()))
        };
        let configuration = folder.path().join("haproxy.cfg");
        fs::write(&configuration, replaced(HAPROXY)).unwrap();
        let node = env!("CARGO_BIN_EXE_cluster");

        let commands = GUIDE.split("```").find_map(|block| block.strip_prefix("sh\n")).expect("commands");
        let lines = commands.lines().filter(|line| !line.starts_with("cargo "));
        let mut programs = Vec::new();
        for (number, (line, address)) in lines.zip(&addresses).enumerate() {
            let line = replaced(line)
                .replace("--bind 127.0.0.1 --port 6379", &format!("--bind {} --port {}", address.ip(), address.port()))
                .replace("docs/proxies/haproxy-cluster.cfg", configuration.to_str().unwrap())
                .replace("target/debug/cluster", node);
            let log = folder.path().join(format!("{number}.log"));
            let command = line.split_whitespace().map(Into::into).collect();
            let mut program = Program { command, address: *address, folder: folder.path().into(), log, process: None };
            program.start().await;
            programs.push(program);
        }
        let haproxy = programs.pop().unwrap();
        let redis = programs.remove(0);
        assert_eq!(programs.len(), 3);
        Self { redis, nodes: programs, haproxy, _folder: folder }
    }

    pub(super) fn public(&self) -> SocketAddr {
        self.haproxy.address
    }
}

pub(super) struct Program {
    command: Vec<String>,
    address: SocketAddr,
    folder: PathBuf,
    log: PathBuf,
    process: Option<Child>,
}

impl Program {
    /// Starts the program, and waits until it is ready.
    pub(super) async fn start(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).current_dir(&self.folder).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", self.command)));
        let start = Instant::now();
        while !self.is_there().await {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?} is not there: {}", self.command, self.said());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks the program to stop, and waits until it has.
    pub(super) async fn stop(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        let id = process.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        let ended = timeout(Duration::from_secs(30), process.wait()).await;
        ended.unwrap_or_else(|_| panic!("{:?} does not end: {}", self.command, self.said())).unwrap()
    }

    pub(super) fn add_option(&mut self, name: &str, value: u64) {
        self.command.extend([name.into(), value.to_string()]);
    }

    /// Redis and `HAProxy` are ready when they listen, and a node is ready when its health check passes.
    async fn is_there(&self) -> bool {
        if self.command.iter().any(|word| word == "--redis") {
            self.health().await.is_ok_and(|health| health.starts_with("HTTP/1.1 200 "))
        } else {
            TcpStream::connect(self.address).await.is_ok()
        }
    }

    /// The number of clients of a node.
    pub(super) async fn clients(&self) -> usize {
        let health = self.health().await.unwrap();
        health.rsplit("\r\n").next().unwrap().parse().unwrap_or_else(|_| panic!("{health}"))
    }

    async fn health(&self) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

fn free(address: [u8; 4]) -> SocketAddr {
    TcpListener::bind(SocketAddr::from((address, 0))).unwrap().local_addr().unwrap()
}
