//! Writes ONNX models (IR version 10): a [`Builder`] that puts nodes and tensors together. Knows nothing
//! of Whisper.
//!
//! Tensors go to a data file beside the model (ONNX "external data") as soon as they are known, so
//! that writing needs the memory of one tensor, a model may pass protobuf's 2 GB, and ONNX Runtime
//! maps them from disk. Only tiny ones stand in the protobuf itself.

use std::io::{self, Write};

use prost::Message as _;

use crate::onnx::{Attribute, Dim, Entry, Graph, Model, Node, Opset, Tensor, ValueInfo};

/// Tensors up to this many bytes stand in the protobuf. Shape arguments must: ONNX Runtime reads
/// them while it infers shapes, before it opens the data file.
const INLINE_BYTES: usize = 256;
/// Where a tensor starts in the data file: a page, so that mapping one maps no neighbour.
const ALIGN: u64 = 4096;

/// What a tensor's items are; the numbers are ONNX's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F32 = 1,
    I8 = 3,
    I64 = 7,
    F16 = 10,
}

/// One side of a tensor's shape.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Fixed(usize),
    Named(&'static str),
}

/// An attribute of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Int(i64),
    Float(f32),
    Ints(&'a [i64]),
}

/// Operators of ONNX itself need no domain; ONNX Runtime's own have this one.
const MICROSOFT: &str = "com.microsoft";
/// Operators that stand in [`MICROSOFT`].
const CONTRIBUTED: [&str; 3] = ["Gelu", "MultiHeadAttention", "MatMulIntegerToFloat"];
/// The version of ONNX' own operators: the first with `LayerNormalization` is 17.
const OPSET: i64 = 17;

/// A model in the making. `data` receives the tensors.
pub(crate) struct Builder<W> {
    graph: Graph,
    data: W,
    data_file: &'static str,
    at: u64,
    names: usize,
}

impl<W: Write> Builder<W> {
    /// `data_file` is the name under which the model finds what is written to `data`.
    pub(crate) fn new(name: &str, data: W, data_file: &'static str) -> Self {
        Self {
            graph: Graph {
                name: name.to_owned(),
                ..Graph::default()
            },
            data,
            data_file,
            at: 0,
            names: 0,
        }
    }

    /// Declares an input.
    pub(crate) fn input(&mut self, name: &str, element: Element, shape: &[Side]) -> String {
        self.graph.inputs.push(value_info(name, element, shape));
        name.to_owned()
    }

    /// Declares an output, which a node of this name makes.
    pub(crate) fn output(&mut self, name: &str, element: Element, shape: &[Side]) {
        self.graph.outputs.push(value_info(name, element, shape));
    }

    /// Adds a constant tensor and returns its name.
    pub(crate) fn tensor(
        &mut self,
        element: Element,
        dims: &[usize],
        bytes: &[u8],
    ) -> io::Result<String> {
        let name = self.fresh("t");
        let mut tensor = Tensor {
            dims: dims.iter().map(|&d| d as i64).collect(),
            kind: element as i32,
            name: name.clone(),
            ..Tensor::default()
        };
        if bytes.len() <= INLINE_BYTES {
            tensor.raw = bytes.to_vec();
        } else {
            let padding = self.at.next_multiple_of(ALIGN) - self.at;
            self.data.write_all(&vec![0; padding as usize])?;
            self.data.write_all(bytes)?;
            let offset = self.at + padding;
            self.at = offset + bytes.len() as u64;
            tensor.location = Tensor::OUTSIDE;
            tensor.external = [
                ("location", self.data_file.to_owned()),
                ("offset", offset.to_string()),
                ("length", bytes.len().to_string()),
            ]
            .map(|(key, value)| Entry {
                key: key.to_owned(),
                value,
            })
            .into();
        }
        self.graph.initializers.push(tensor);
        Ok(name)
    }

    /// Adds a constant tensor of `f32`.
    pub(crate) fn floats(&mut self, dims: &[usize], values: &[f32]) -> io::Result<String> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(Element::F32, dims, &bytes)
    }

    /// Adds a constant vector of `i64`.
    pub(crate) fn integers(&mut self, values: &[i64]) -> io::Result<String> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(Element::I64, &[values.len()], &bytes)
    }

    /// Adds a node with one output and returns its name.
    pub(crate) fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, Value<'_>)],
    ) -> String {
        let output = self.fresh("v");
        self.node_into(op, inputs, &[&output], attributes);
        output
    }

    /// Adds a node whose outputs have the names given.
    pub(crate) fn node_into(
        &mut self,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, Value<'_>)],
    ) {
        let owned = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
        let contributed = CONTRIBUTED.contains(&op);
        self.graph.nodes.push(Node {
            inputs: owned(inputs),
            outputs: owned(outputs),
            name: outputs[0].to_owned(),
            op: op.to_owned(),
            attributes: attributes.iter().map(|&(n, v)| attribute(n, v)).collect(),
            domain: if contributed { MICROSOFT } else { "" }.to_owned(),
        });
    }

    /// A name that no other value of this graph has.
    pub(crate) fn fresh(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}{}", self.names)
    }

    /// The finished protobuf and the sink of the tensors.
    pub(crate) fn finish(self) -> (Vec<u8>, W) {
        let opset = |domain: &str, version| Opset {
            domain: domain.to_owned(),
            version,
        };
        let model = Model {
            ir_version: 10,
            producer: "caal".to_owned(),
            graph: Some(self.graph),
            opsets: vec![opset("", OPSET), opset(MICROSOFT, 1)],
        };
        (model.encode_to_vec(), self.data)
    }
}

fn attribute(name: &str, value: Value<'_>) -> Attribute {
    let mut attribute = Attribute {
        name: name.to_owned(),
        ..Attribute::default()
    };
    match value {
        Value::Float(f) => (attribute.f, attribute.kind) = (f, Attribute::FLOAT),
        Value::Int(i) => (attribute.i, attribute.kind) = (i, Attribute::INT),
        Value::Ints(ints) => {
            (attribute.ints, attribute.kind) = (ints.to_vec(), Attribute::INTS);
        }
    }
    attribute
}

fn value_info(name: &str, element: Element, shape: &[Side]) -> ValueInfo {
    let dims = shape
        .iter()
        .map(|side| match side {
            Side::Fixed(n) => Dim::fixed(*n),
            Side::Named(name) => Dim::named(name),
        })
        .collect();
    ValueInfo::tensor(name, element as i32, dims)
}
