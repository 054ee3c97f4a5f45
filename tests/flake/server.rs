//! A web server on the loopback that serves one body under every path.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Serves until it is dropped.
pub struct Server {
    port: u16,
    body: Arc<Mutex<Vec<u8>>>,
    requests: Arc<Mutex<Vec<String>>>,
    is_done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// A server with an empty body.
    pub fn start() -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port on the loopback");
        let port = listener.local_addr().expect("its address").port();
        let body = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let is_done = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (body, requests, is_done) = (body.clone(), requests.clone(), is_done.clone());
            move || {
                for stream in listener.incoming().flatten() {
                    if is_done.load(Ordering::SeqCst) {
                        return;
                    }
                    let body = body.lock().expect("no other panic").clone();
                    if let Ok(path) = answer(stream, &body) {
                        requests.lock().expect("no other panic").push(path);
                    }
                }
            }
        });
        Server {
            port,
            body,
            requests,
            is_done,
            thread: Some(thread),
        }
    }

    /// Serves `body` from now on.
    pub fn serve(&self, body: Vec<u8>) {
        *self.body.lock().expect("no other panic") = body;
    }

    /// The server's base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mirror", self.port)
    }

    /// The paths asked for so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no other panic").clone()
    }
}

/// Reads one request, answers it, gives its path.
fn answer(mut stream: TcpStream, body: &[u8]) -> std::io::Result<String> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && line != "\r\n" {
        line.clear();
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    Ok(request.split(' ').nth(1).unwrap_or_default().to_owned())
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::SeqCst);
        // Wakes the thread, which waits for a connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
