//! A client that sends what no library would, over a socket of its own.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::process::PATIENCE;

/// A connection to the listener of a server under test.
pub struct Wire(pub TcpStream);

impl Wire {
    /// Connects to a URL as [`super::process::Server`] prints it.
    pub async fn to(url: &str) -> Self {
        Self(TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap())
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A server that has had enough closes while we are still sending.
        let _ = self.0.write_all(bytes.as_ref()).await;
    }

    /// Everything until the server closes.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut bytes = [0; 65_536];
        while let Ok(count @ 1..) = timeout(PATIENCE, self.0.read(&mut bytes)).await.unwrap() {
            all.extend(&bytes[..count]);
        }
        all
    }

    /// The head of one response, whose body is read as well; `None` if the server closes before its
    /// end.
    pub async fn try_response(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, self.0.read_u8()).await.unwrap().ok()?;
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let length = field(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        timeout(PATIENCE, self.0.read_exact(&mut body)).await.unwrap().ok()?;
        Some(head)
    }

    /// The head and the body of one response to a request other than HEAD.
    pub async fn response(&mut self) -> (String, Vec<u8>) {
        let head = self.head().await;
        let length = field(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        timeout(PATIENCE, self.0.read_exact(&mut body)).await.unwrap().unwrap();
        (head, body)
    }

    /// The head of one response.
    pub async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            let read = timeout(PATIENCE, self.0.read(&mut byte)).await.unwrap().unwrap();
            assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    /// The kind, the stream and the payload of the next HTTP/2 frame.
    pub async fn frame(&mut self) -> (u8, u32, Vec<u8>) {
        let mut head = [0; 9];
        timeout(PATIENCE, self.0.read_exact(&mut head)).await.unwrap().unwrap();
        let [a, b, c, kind, _, stream @ ..] = head;
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap()];
        timeout(PATIENCE, self.0.read_exact(&mut payload)).await.unwrap().unwrap();
        (kind, u32::from_be_bytes(stream), payload)
    }

    /// Whether the server has closed, waiting for it.
    pub async fn is_closed(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        loop {
            match timeout(PATIENCE, self.0.read(&mut bytes)).await {
                Ok(Ok(0) | Err(_)) => return true,
                Ok(Ok(_)) => {}
                Err(_) => return false,
            }
        }
    }
}

/// The status of a response.
pub fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// A header field of a response; names are in lower case.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// One HTTP/2 frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What an HTTP/2 client begins with.
pub fn preface() -> Vec<u8> {
    let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    preface.extend(frame(4, 0, 0, &[]));
    preface
}

/// The header block of `GET path`, without compression.
pub fn get_block(path: &str) -> Vec<u8> {
    // :method GET and :scheme http of the static table; path and authority as literals.
    let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.as_bytes());
    block.extend([0x01, 14]);
    block.extend(b"seller.example");
    block
}
