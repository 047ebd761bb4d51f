//! ONNX's file format, as much of it as graphs need that are read, changed or written here: the messages
//! of `onnx.proto` (ONNX 1.17, Apache-2.0), by their field numbers, for `prost` and without `protoc`.
//! Fields that are not named here (documentation, metadata) are dropped when read. Knows no model:
//! Whisper's writer and the wake word's embedding use it.

use prost::Message;

/// A whole file.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Model {
    #[prost(int64, tag = "1")]
    pub(crate) ir_version: i64,
    #[prost(string, tag = "2")]
    pub(crate) producer: String,
    #[prost(message, optional, tag = "7")]
    pub(crate) graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) opsets: Vec<Opset>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Opset {
    #[prost(string, tag = "1")]
    pub(crate) domain: String,
    #[prost(int64, tag = "2")]
    pub(crate) version: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(crate) nodes: Vec<Node>,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "5")]
    pub(crate) initializers: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) inputs: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) outputs: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(crate) inputs: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) outputs: Vec<String>,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    #[prost(string, tag = "4")]
    pub(crate) op: String,
    #[prost(message, repeated, tag = "5")]
    pub(crate) attributes: Vec<Attribute>,
    #[prost(string, tag = "7")]
    pub(crate) domain: String,
}

impl Node {
    /// The whole numbers of an attribute; empty when it is absent.
    pub(crate) fn ints(&self, name: &str) -> &[i64] {
        self.attributes
            .iter()
            .find(|a| a.name == name)
            .map_or(&[], |a| &a.ints)
    }

    /// A node of the default operator set without a name.
    pub(crate) fn new(op: &str, inputs: Vec<String>, output: &str) -> Self {
        Self {
            inputs,
            outputs: vec![output.to_owned()],
            op: op.to_owned(),
            ..Self::default()
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attribute {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(float, tag = "2")]
    pub(crate) f: f32,
    #[prost(int64, tag = "3")]
    pub(crate) i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) s: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub(crate) t: Option<Tensor>,
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub(crate) floats: Vec<f32>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub(crate) ints: Vec<i64>,
    /// Which of the fields counts: [`Attribute::INT`] and others.
    #[prost(int32, tag = "20")]
    pub(crate) kind: i32,
}

impl Attribute {
    pub(crate) const FLOAT: i32 = 1;
    pub(crate) const INT: i32 = 2;
    pub(crate) const INTS: i32 = 7;

    pub(crate) fn int(name: &str, i: i64) -> Self {
        Self {
            name: name.to_owned(),
            i,
            kind: Self::INT,
            ..Self::default()
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Tensor {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub(crate) dims: Vec<i64>,
    /// [`Tensor::FLOAT`], [`Tensor::INT64`] and others.
    #[prost(int32, tag = "2")]
    pub(crate) kind: i32,
    #[prost(float, repeated, tag = "4")]
    pub(crate) floats: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub(crate) int32s: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    pub(crate) int64s: Vec<i64>,
    #[prost(string, tag = "8")]
    pub(crate) name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) raw: Vec<u8>,
    /// Where its bytes stand when not in this file: `location`, `offset`, `length`.
    #[prost(message, repeated, tag = "13")]
    pub(crate) external: Vec<Entry>,
    /// [`Tensor::OUTSIDE`], or 0 for here.
    #[prost(int32, tag = "14")]
    pub(crate) location: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Entry {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

impl Tensor {
    pub(crate) const FLOAT: i32 = 1;
    const INT64: i32 = 7;
    /// [`Tensor::location`] of one whose bytes stand in another file.
    pub(crate) const OUTSIDE: i32 = 1;

    /// A list of whole numbers.
    pub(crate) fn list(name: &str, values: &[i64]) -> Self {
        Self {
            dims: vec![values.len() as i64],
            kind: Self::INT64,
            int64s: values.to_vec(),
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) kind: Option<ValueKind>,
}

impl ValueInfo {
    /// A tensor of items of this kind and shape.
    pub(crate) fn tensor(name: &str, element: i32, dims: Vec<Dim>) -> Self {
        Self {
            name: name.to_owned(),
            kind: Some(ValueKind {
                tensor: Some(TensorKind {
                    element,
                    shape: Some(TensorShape { dims }),
                }),
            }),
        }
    }

    /// A float tensor of this shape.
    pub(crate) fn floats(name: &str, dims: &[usize]) -> Self {
        let dims = dims.iter().map(|&d| Dim::fixed(d)).collect();
        Self::tensor(name, Tensor::FLOAT, dims)
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValueKind {
    #[prost(message, optional, tag = "1")]
    pub(crate) tensor: Option<TensorKind>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorKind {
    #[prost(int32, tag = "1")]
    pub(crate) element: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) shape: Option<TensorShape>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorShape {
    #[prost(message, repeated, tag = "1")]
    pub(crate) dims: Vec<Dim>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dim {
    #[prost(int64, optional, tag = "1")]
    pub(crate) value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub(crate) param: Option<String>,
}

impl Dim {
    /// A side of this length.
    pub(crate) fn fixed(length: usize) -> Self {
        Self {
            value: Some(length as i64),
            param: None,
        }
    }

    /// A side whose length is known when the graph runs.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            value: None,
            param: Some(name.to_owned()),
        }
    }
}
