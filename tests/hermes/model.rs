//! A model that answers what the test tells it to, as late as it likes. What to do stands in the prompt:
//! `HOLD:name` is answered when the test lets it go, `LIMIT:name` never but that there were too many requests, `TOOL:{"name": …, "arguments": {…}}` calls a tool first.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// The model's server; its threads end with the connections.
#[derive(Debug)]
pub(crate) struct Model {
    port: u16,
    script: Arc<Script>,
}

#[derive(Debug, Default)]
struct Script {
    name: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    released: HashSet<String>,
    held: HashSet<String>,
    list_is_late: bool,
}

impl Script {
    /// Until the test says so; a test that is over says nothing more.
    fn wait(&self, is_over: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap();
        let limit = Duration::from_secs(300);
        drop(self.changed.wait_timeout_while(state, limit, |state| !is_over(state)).unwrap());
    }
}

impl Model {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = format!("fake-{}-{port}", std::process::id());
        let script = Arc::new(Script { name, ..Script::default() });
        let shared = Arc::clone(&script);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &script));
            }
        });
        Self { port, script }
    }

    /// Of this test alone, so that the workers whose argv carry it are this test's.
    pub(crate) fn name(&self) -> &str {
        &self.script.name
    }

    /// What a `config.yaml` says to use it.
    pub(crate) fn config(&self) -> String {
        format!(
            "# the model of a test\nmodel:\n  provider: custom\n  default: {}\n  base_url: http://127.0.0.1:{}/v1   # here\n  api_key: x\n",
            self.name(),
            self.port
        )
    }

    /// Lets the turn go on that was asked for with `HOLD:name`, and every later one.
    pub(crate) fn release(&self, name: &str) {
        self.script.state.lock().unwrap().released.insert(name.to_owned());
        self.script.changed.notify_all();
    }

    /// Whether the list of models, which an agent asks for while it is built, is late.
    pub(crate) fn delay_its_list(&self, late: bool) {
        self.script.state.lock().unwrap().list_is_late = late;
        self.script.changed.notify_all();
    }

    /// Whether such a turn has come as far as the model.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.script.state.lock().unwrap().held.contains(name)
    }
}

fn serve(stream: TcpStream, script: &Script) {
    // As a model's server does: the newer releases keep a connection for the next request, which may never come.
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some((line, body)) = read_request(&mut reader) {
        let done = if line.starts_with("GET") {
            script.wait(|state| !state.list_is_late);
            let models = json!({ "object": "list", "data": [{ "id": script.name, "object": "model", "context_length": 200_000 }] });
            write_json(&mut stream, &models)
        } else {
            complete(&mut stream, &serde_json::from_slice(&body).unwrap_or_default(), script)
        };
        if done.is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}

fn complete(stream: &mut TcpStream, request: &Value, script: &Script) -> std::io::Result<()> {
    let answer = decide(request, script);
    if matches!(answer, Answer::Later) {
        let body = r#"{"error":{"message":"too many requests","type":"rate_limit_error"}}"#;
        return write!(
            stream,
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
    }
    let (message, finish) = match &answer {
        Answer::Text | Answer::Later => (json!({ "role": "assistant", "content": "ok" }), "stop"),
        Answer::Tool(call) => {
            let function = json!({ "name": call["name"], "arguments": call["arguments"].to_string() });
            let calls = json!([{ "index": 0, "id": "call_1", "type": "function", "function": function }]);
            (json!({ "role": "assistant", "content": null, "tool_calls": calls }), "tool_calls")
        }
    };
    let usage = json!({ "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 });
    if request["stream"] != json!(true) {
        let choice = json!({ "index": 0, "message": message, "finish_reason": finish });
        let body = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "fake", "choices": [choice], "usage": usage });
        return write_json(stream, &body);
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")?;
    for (delta, finish) in [(message, Value::Null), (json!({}), json!(finish))] {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "fake", "choices": [choice] });
        write!(stream, "data: {chunk}\n\n")?;
    }
    write!(stream, "data: [DONE]\n\n")?;
    stream.flush()?;
    stream.shutdown(std::net::Shutdown::Both)
}

fn write_json(stream: &mut TcpStream, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

enum Answer {
    Text,
    /// That it is to ask again later.
    Later,
    Tool(Value),
}

fn decide(request: &Value, script: &Script) -> Answer {
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let last_user = messages.iter().rposition(|message| message["role"] == "user");
    let Some(at) = last_user else { return Answer::Text };
    let text = text_of(&messages[at]);
    // Whatever else a gateway asks its model for, a title for one, has no tools.
    if request["tools"].as_array().is_none_or(Vec::is_empty) {
        return Answer::Text;
    }
    // In the arguments of a tool it is for another turn.
    let own = text.split("TOOL:").next().unwrap_or_default();
    if let Some(name) = word_after(own, "HOLD:") {
        let mut state = script.state.lock().unwrap();
        state.held.insert(name.to_owned());
        drop(state);
        script.wait(|state| state.released.contains(name));
    }
    if let Some(name) = word_after(&text, "LIMIT:") {
        script.state.lock().unwrap().held.insert(name.to_owned());
        return Answer::Later;
    }
    let has_result = messages[at..].iter().any(|message| message["role"] == "tool");
    match text.split_once("TOOL:") {
        Some((_, call)) if !has_result => {
            let call = serde_json::Deserializer::from_str(call).into_iter::<Value>().next();
            call.and_then(Result::ok).map_or(Answer::Text, Answer::Tool)
        }
        _ => Answer::Text,
    }
}

fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

fn word_after<'t>(text: &'t str, marker: &str) -> Option<&'t str> {
    text.split_once(marker)?.1.split(|c: char| !c.is_alphanumeric()).next()
}
