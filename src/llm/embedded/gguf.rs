//! A GGUF file: its header as values, its tensors as numbers, and one clear sentence about whatever
//! is wrong with it. Format: docs/gguf.md of ggml, versions 1 to 3, read by candle.
//!
//! Files come from the network and from people. candle's reader trusts some numbers in them (an
//! alignment of zero divides, dimensions may multiply to more than there is), so shapes are checked
//! before a tensor is read and a panic of the reader is caught.

use std::{
    fs::File,
    io::BufReader,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use candle_core::{
    Device,
    quantized::gguf_file::{Content, Value},
};

use crate::llm::LlmError;

/// An open GGUF file.
pub(super) struct Gguf {
    path: String,
    content: Content,
    reader: BufReader<File>,
}

impl Gguf {
    /// Reads the header.
    pub(super) fn open(path: &Path) -> Result<Self, LlmError> {
        let shown = path.display().to_string();
        let bad = |reason: String| LlmError::BadModel {
            path: shown.clone(),
            reason,
        };
        let file = File::open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => bad("the file is missing".to_owned()),
            _ => bad(format!("the file cannot be opened ({e})")),
        })?;
        let mut reader = BufReader::new(file);
        let content = caught(|| Content::read(&mut reader))
            .map_err(|reason| bad(format!("it is no whole GGUF file ({reason})")))?;
        Ok(Self {
            path: shown,
            content,
            reader,
        })
    }

    /// What is wrong with this file.
    pub(super) fn bad(&self, reason: impl Into<String>) -> LlmError {
        LlmError::BadModel {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    /// A number; `None` where the file says nothing, or no number.
    pub(super) fn number(&self, key: &str) -> Option<usize> {
        let value = self.value(key)?;
        let signed = |v: i64| u64::try_from(v).ok();
        let number = match *value {
            Value::I8(v) => signed(v.into()),
            Value::U16(v) => Some(v.into()),
            Value::I16(v) => signed(v.into()),
            Value::I32(v) => signed(v.into()),
            Value::I64(v) => signed(v),
            _ => value.to_u64().ok(),
        };
        number.and_then(|n| usize::try_from(n).ok())
    }

    /// A number within `range`.
    pub(super) fn dimension(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, LlmError> {
        match self.number(key) {
            Some(n) if range.contains(&n) => Ok(n),
            Some(n) => Err(self.bad(format!("{key} is {n}, which cannot be"))),
            None => Err(self.bad(format!("it does not say {key}"))),
        }
    }

    /// A fraction.
    pub(super) fn fraction(&self, key: &str) -> Option<f32> {
        self.value(key)?.to_f32().ok()
    }

    /// Yes or no.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.value(key)?.to_bool().ok()
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.to_string().ok().map(String::as_str)
    }

    /// A list of texts.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, LlmError> {
        let missing = || self.bad(format!("it has no list {key}"));
        let list = self
            .value(key)
            .and_then(|v| v.to_vec().ok())
            .ok_or_else(missing)?;
        list.iter()
            .map(|v| v.to_string().cloned().map_err(|_| missing()))
            .collect()
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, tensor: &str) -> bool {
        self.content.tensor_infos.contains_key(tensor)
    }

    /// The numbers of a tensor, which must have this shape, slowest dimension first.
    pub(super) fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LlmError> {
        let Some(info) = self.content.tensor_infos.get(name) else {
            return Err(self.bad(format!("the tensor {name} is missing")));
        };
        if info.shape.dims() != shape {
            let found = info.shape.dims().to_vec();
            return Err(self.bad(format!(
                "the tensor {name} is {found:?}, expected {shape:?}"
            )));
        }
        let (content, reader) = (&self.content, &mut self.reader);
        caught(|| {
            let tensor = content.tensor(reader, name, &Device::Cpu)?;
            tensor
                .dequantize(&Device::Cpu)?
                .flatten_all()?
                .to_vec1::<f32>()
        })
        .and_then(|values| {
            let finite = values.iter().all(|v| v.is_finite());
            finite
                .then_some(values)
                .ok_or_else(|| "not all of it are numbers".to_owned())
        })
        .map_err(|reason| self.bad(format!("the tensor {name} cannot be read ({reason})")))
    }
}

/// Runs candle's reader; its errors and its panics become a reason on one line.
fn caught<T>(read: impl FnOnce() -> candle_core::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        // The first line: the rest is where in candle it happened.
        Ok(Err(e)) => Err(e
            .to_string()
            .lines()
            .next()
            .unwrap_or("unreadable")
            .to_owned()),
        Err(_) => Err("numbers in it contradict each other".to_owned()),
    }
}
