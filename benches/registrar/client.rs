//! A client that asks one request after the other on one connection, without a runtime.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

pub struct Client {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

impl Client {
    /// Of the public listener.
    pub fn public(address: &str) -> Self {
        Self::connect(address, "seller.example")
    }

    /// Of the admin listener, which answers to its own address only.
    pub fn admin(address: &str) -> Self {
        Self::connect(address, address)
    }

    fn connect(address: &str, host: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, host: host.to_owned(), buffer: vec![0; 1 << 16] }
    }

    /// The status and body of a response that fits into the buffer.
    pub fn get(&mut self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.stream.write_all(request.as_bytes()).unwrap();
        let mut filled = 0;
        loop {
            let count = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert!(count > 0, "the connection was closed");
            filled += count;
            let text = String::from_utf8_lossy(&self.buffer[..filled]);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
            });
            if body.len() >= length.map_or(0, Result::unwrap) {
                let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
                return (status, body.to_owned());
            }
        }
    }
}

pub fn document_of(id: &str) -> String {
    format!("/offers/{id}/agent-registration.json")
}
