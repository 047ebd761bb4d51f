//! As much of ONNX's file format as [`super::streaming`] needs to read a graph, change it and write it
//! back: the messages of `onnx.proto` (ONNX 1.16, Apache-2.0), by their field numbers. Fields that are
//! not named here (documentation, strings, metadata) are dropped when read.

use prost::Message;

/// A whole file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Model {
    #[prost(int64, tag = "1")]
    pub(super) ir_version: i64,
    #[prost(message, optional, tag = "7")]
    pub(super) graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub(super) opsets: Vec<Opset>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Opset {
    #[prost(string, tag = "1")]
    pub(super) domain: String,
    #[prost(int64, tag = "2")]
    pub(super) version: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(super) nodes: Vec<Node>,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) initializers: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub(super) inputs: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(super) outputs: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(super) inputs: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) outputs: Vec<String>,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(string, tag = "4")]
    pub(super) op: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) attributes: Vec<Attribute>,
    #[prost(string, tag = "7")]
    pub(super) domain: String,
}

impl Node {
    /// The whole numbers of an attribute; empty when it is absent.
    pub(super) fn ints(&self, name: &str) -> &[i64] {
        self.attributes
            .iter()
            .find(|a| a.name == name)
            .map_or(&[], |a| &a.ints)
    }

    /// A node of the default operator set without a name.
    pub(super) fn new(op: &str, inputs: Vec<String>, output: &str) -> Self {
        Self {
            inputs,
            outputs: vec![output.to_owned()],
            op: op.to_owned(),
            ..Self::default()
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Attribute {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(float, tag = "2")]
    pub(super) f: f32,
    #[prost(int64, tag = "3")]
    pub(super) i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) s: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub(super) t: Option<Tensor>,
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub(super) floats: Vec<f32>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub(super) ints: Vec<i64>,
    /// Which of the fields counts: [`Attribute::INT`] and others.
    #[prost(int32, tag = "20")]
    pub(super) kind: i32,
}

impl Attribute {
    const INT: i32 = 2;

    pub(super) fn int(name: &str, i: i64) -> Self {
        Self {
            name: name.to_owned(),
            i,
            kind: Self::INT,
            ..Self::default()
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Tensor {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub(super) dims: Vec<i64>,
    /// [`Tensor::FLOAT`], [`Tensor::INT64`] and others.
    #[prost(int32, tag = "2")]
    pub(super) kind: i32,
    #[prost(float, repeated, tag = "4")]
    pub(super) floats: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub(super) int32s: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    pub(super) int64s: Vec<i64>,
    #[prost(string, tag = "8")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub(super) raw: Vec<u8>,
}

impl Tensor {
    pub(super) const FLOAT: i32 = 1;
    const INT64: i32 = 7;

    /// A list of whole numbers.
    pub(super) fn list(name: &str, values: &[i64]) -> Self {
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
pub(super) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) kind: Option<ValueKind>,
}

impl ValueInfo {
    /// A float tensor of this shape.
    pub(super) fn floats(name: &str, dims: &[usize]) -> Self {
        let dims = dims
            .iter()
            .map(|&d| Dim {
                value: Some(d as i64),
                param: None,
            })
            .collect();
        Self {
            name: name.to_owned(),
            kind: Some(ValueKind {
                tensor: Some(TensorKind {
                    element: Tensor::FLOAT,
                    shape: Some(TensorShape { dims }),
                }),
            }),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueKind {
    #[prost(message, optional, tag = "1")]
    pub(super) tensor: Option<TensorKind>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorKind {
    #[prost(int32, tag = "1")]
    pub(super) element: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<TensorShape>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorShape {
    #[prost(message, repeated, tag = "1")]
    pub(super) dims: Vec<Dim>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Dim {
    #[prost(int64, optional, tag = "1")]
    pub(super) value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub(super) param: Option<String>,
}
