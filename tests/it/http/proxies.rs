//! Behind the proxies that people run: both ends of a reused connection agree where a request ends.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{
    ground::{offers, serve},
    smuggling::vectors,
};
use crate::support::{
    leash::Leash,
    process::{Server, eventually},
    stage::free_port,
    wire::Wire,
};

/// A proxy in front of a server, with one connection to it that all clients share.
struct Proxy {
    address: String,
    child: Child,
    _leash: Leash,
    _folder: TempDir,
}

impl Proxy {
    async fn start(program: &str, configuration: &str, server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port().to_string();
        let configuration = configuration
            .replace("FOLDER", folder.path().to_str().unwrap())
            .replace("PORT", &port)
            .replace("SERVER", server.public.strip_prefix("http://").unwrap());
        let file = folder.path().join("configuration");
        fs::write(&file, configuration).unwrap();
        let child = command(program, &file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("{program} cannot run: {error}. Run: scripts/install-tools")
        });
        let leash = Leash::on(child.id());
        let address = format!("http://127.0.0.1:{port}");
        let proxy = Self { address, child, _leash: leash, _folder: folder };
        eventually("the proxy serves", async || {
            reqwest::get(format!("{}/offers", proxy.address))
                .await
                .is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        proxy
    }

    /// What a client of its own gets for a request that hides nothing.
    async fn answer(&self) -> String {
        let mut client = Wire::to(&self.address).await;
        client.send("GET /offers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let answer = String::from_utf8(client.rest().await).unwrap();
        answer.split_once("\r\n\r\n").map_or(answer.clone(), |(head, body)| {
            format!("{} {body}", head.lines().next().unwrap_or_default())
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn command(program: &str, file: &Path) -> Command {
    let mut command = Command::new(Path::new("/usr/sbin").join(program));
    match program {
        "nginx" => command.arg("-c").arg(file).args(["-e", "stderr"]),
        _ => command.arg("-db").arg("-f").arg(file),
    };
    command
}

const NGINX: &str = "
    daemon off; master_process off; pid FOLDER/pid;
    events { worker_connections 512; }
    http {
        access_log off;
        client_body_temp_path FOLDER/a; proxy_temp_path FOLDER/b; fastcgi_temp_path FOLDER/c;
        uwsgi_temp_path FOLDER/d; scgi_temp_path FOLDER/e;
        upstream server { server SERVER; keepalive 1; }
        server {
            listen 127.0.0.1:PORT;
            location / {
                proxy_pass http://server;
                proxy_http_version 1.1;
                proxy_set_header Connection \"\";
                proxy_set_header Host $host;
            }
        }
    }
";

const HAPROXY: &str = "
global
    nbthread 1
defaults
    mode http
    timeout connect 60s
    timeout client 60s
    timeout server 60s
    timeout http-request 1s
frontend clients
    bind 127.0.0.1:PORT
    default_backend server
backend server
    http-reuse always
    server server SERVER pool-max-conn 1
";

#[tokio::test]
async fn no_request_of_one_client_is_answered_to_another_behind_a_proxy() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    for (program, configuration) in [("nginx", NGINX), ("haproxy", HAPROXY)] {
        let proxy = Proxy::start(program, configuration, &server).await;
        let good = proxy.answer().await;
        assert!(good.starts_with("HTTP/1.1 200 OK {"), "{program}: {good}");
        for chunk in vectors().chunks(8) {
            let mut attackers = Vec::new();
            for vector in chunk {
                let mut attacker = Wire::to(&proxy.address).await;
                attacker.send(vector).await;
                attackers.push(attacker);
            }
            // The next requests on the connection that the vectors went through, if they did.
            for _ in 0..chunk.len() {
                assert_eq!(proxy.answer().await, good, "{program}, after one of {chunk:?}");
            }
        }
    }
}
