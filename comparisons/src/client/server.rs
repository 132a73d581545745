//! A server in a process of its own.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::LazyLock,
    thread,
    time::Duration,
};

use tokio_rustls::rustls::pki_types::CertificateDer;

/// How clients reach a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Transport {
    pub tls: bool,
    pub http2: bool,
}

impl Transport {
    /// Of a server's full name, as in `stream+tls+http2`.
    pub fn of(name: &str) -> Self {
        let has = |option| name.split('+').skip(1).any(|name| name == option);
        Self { tls: has("tls"), http2: has("http2") }
    }
}

pub struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    pub address: SocketAddr,
    pub transport: Transport,
    control: SocketAddr,
}

impl Server {
    /// Serves as `name` on two threads.
    pub fn start(name: &str) -> Self {
        Self::spawn(Command::new(program(name)).args(["--serve", name, "2"]), name)
    }

    /// Serves on one thread, with its allocations counted.
    pub fn single(name: &str) -> Self {
        Self::spawn(Command::new(program(name)).args(["--serve", name, "1"]), name)
    }

    /// Serves on one thread, with its instructions counted. callgrind counts an instruction that sets or copies many bytes (`rep stosb`) once
    /// for each byte, so the C library is told to use others.
    pub fn counted(name: &str) -> Self {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        let never = "glibc.cpu.x86_rep_stosb_threshold=0x10000000:glibc.cpu.x86_rep_movsb_threshold=0x10000000";
        command.env("GLIBC_TUNABLES", never);
        command.arg(program(name)).args(["--serve", name, "1"]).stderr(Stdio::piped());
        Self::spawn(&mut command, name)
    }

    fn spawn(command: &mut Command, name: &str) -> Self {
        let (certificate, key) = &*CERTIFICATE;
        command.env("CERTIFICATE", certificate).env("KEY", key);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("install valgrind first");
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("an address");
        let (address, control) = line.trim().split_once(' ').expect("two addresses");
        let (address, control) = (address.parse().expect("an address"), control.parse().expect("an address"));
        Self { process, output, address, transport: Transport::of(name), control }
    }

    /// How often it has allocated since it was started.
    pub fn allocations(&mut self) -> u64 {
        self.ask(b'a')
    }

    /// How many bytes it has allocated and not freed.
    pub fn heap(&mut self) -> u64 {
        thread::sleep(Duration::from_millis(200));
        self.ask(b'h')
    }

    /// Begins to count its instructions anew.
    pub fn zero_instructions(&self) {
        let mut command = Command::new("callgrind_control");
        let zeroed = command.args(["--zero", &self.process.id().to_string()]).output().expect("comes with valgrind");
        assert!(zeroed.status.success(), "{zeroed:?}");
    }

    /// The instructions that it took, once it has ended.
    pub fn instructions(mut self) -> u64 {
        self.tell(b'q');
        let mut text = String::new();
        self.process.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
        let collected = text.split("Collected : ").nth(1).unwrap_or_else(|| panic!("{text}"));
        collected.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }

    fn ask(&mut self, what: u8) -> u64 {
        self.tell(what);
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a number");
        line.trim().parse().expect("a number")
    }

    fn tell(&self, what: u8) {
        TcpStream::connect(self.control).and_then(|mut stream| stream.write_all(&[what])).expect("it listens");
    }

    /// How much of its memory is resident, in bytes.
    pub fn resident(&self) -> u64 {
        thread::sleep(Duration::from_millis(400));
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// This program; or, for a server whose metrics are recorded, the same with the feature for it.
fn program(name: &str) -> PathBuf {
    static OBSERVED: LazyLock<PathBuf> = LazyLock::new(|| {
        let own = env::current_exe().expect("a path");
        let target = own.with_file_name("with-metrics");
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--locked", "--release", "--features", "metrics", "--target-dir"]).arg(&target);
        cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
        assert!(cargo.status().expect("cargo runs").success(), "it does not build");
        target.join("release").join(own.file_name().expect("a program"))
    });
    let is_observed = name.split('+').any(|option| option == "metrics" || option == "everything");
    if is_observed { OBSERVED.clone() } else { env::current_exe().expect("a path") }
}

/// A certificate for `localhost` and its key, as PEM.
static CERTIFICATE: LazyLock<(String, String)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".into()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
});

/// The certificate that servers have.
pub fn certificate() -> CertificateDer<'static> {
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    CertificateDer::from_pem_slice(CERTIFICATE.0.as_bytes()).expect("a certificate")
}
