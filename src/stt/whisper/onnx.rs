//! Writes ONNX models: the few messages of `onnx.proto` (IR version 10) that our graphs need, written
//! by hand for `prost`, and a [`Builder`] that puts nodes and tensors together. Knows nothing of
//! Whisper.
//!
//! Tensors go to a data file beside the model (ONNX "external data") as soon as they are known, so
//! that writing needs the memory of one tensor, a model may pass protobuf's 2 GB, and ONNX Runtime
//! maps them from disk. Only tiny ones stand in the protobuf itself.

use std::io::{self, Write};

use prost::Message;

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
    graph: GraphProto,
    data: W,
    data_file: &'static str,
    at: u64,
    names: usize,
}

impl<W: Write> Builder<W> {
    /// `data_file` is the name under which the model finds what is written to `data`.
    pub(crate) fn new(name: &str, data: W, data_file: &'static str) -> Self {
        Self {
            graph: GraphProto {
                name: name.to_owned(),
                ..GraphProto::default()
            },
            data,
            data_file,
            at: 0,
            names: 0,
        }
    }

    /// Declares an input.
    pub(crate) fn input(&mut self, name: &str, element: Element, shape: &[Side]) -> String {
        self.graph.input.push(value_info(name, element, shape));
        name.to_owned()
    }

    /// Declares an output, which a node of this name makes.
    pub(crate) fn output(&mut self, name: &str, element: Element, shape: &[Side]) {
        self.graph.output.push(value_info(name, element, shape));
    }

    /// Adds a constant tensor and returns its name.
    pub(crate) fn tensor(
        &mut self,
        element: Element,
        dims: &[usize],
        bytes: &[u8],
    ) -> io::Result<String> {
        let name = self.fresh("t");
        let mut tensor = TensorProto {
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: element as i32,
            name: name.clone(),
            ..TensorProto::default()
        };
        if bytes.len() <= INLINE_BYTES {
            tensor.raw_data = bytes.to_vec();
        } else {
            let padding = self.at.next_multiple_of(ALIGN) - self.at;
            self.data.write_all(&vec![0; padding as usize])?;
            self.data.write_all(bytes)?;
            let offset = self.at + padding;
            self.at = offset + bytes.len() as u64;
            tensor.data_location = 1;
            tensor.external_data = [
                ("location", self.data_file.to_owned()),
                ("offset", offset.to_string()),
                ("length", bytes.len().to_string()),
            ]
            .map(|(key, value)| StringStringEntryProto {
                key: key.to_owned(),
                value,
            })
            .into();
        }
        self.graph.initializer.push(tensor);
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
        self.graph.node.push(NodeProto {
            input: owned(inputs),
            output: owned(outputs),
            name: outputs[0].to_owned(),
            op_type: op.to_owned(),
            attribute: attributes.iter().map(|&(n, v)| attribute(n, v)).collect(),
            domain: if CONTRIBUTED.contains(&op) {
                MICROSOFT
            } else {
                ""
            }
            .to_owned(),
        });
    }

    /// A name that no other value of this graph has.
    pub(crate) fn fresh(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}{}", self.names)
    }

    /// The finished protobuf and the sink of the tensors.
    pub(crate) fn finish(self) -> (Vec<u8>, W) {
        let opset = |domain: &str, version| OperatorSetIdProto {
            domain: domain.to_owned(),
            version,
        };
        let model = ModelProto {
            ir_version: 10,
            producer_name: "caal".to_owned(),
            graph: Some(self.graph),
            opset_import: vec![opset("", OPSET), opset(MICROSOFT, 1)],
        };
        (model.encode_to_vec(), self.data)
    }
}

fn attribute(name: &str, value: Value<'_>) -> AttributeProto {
    let mut proto = AttributeProto {
        name: name.to_owned(),
        ..AttributeProto::default()
    };
    match value {
        Value::Float(f) => (proto.f, proto.r#type) = (f, 1),
        Value::Int(i) => (proto.i, proto.r#type) = (i, 2),
        Value::Ints(ints) => (proto.ints, proto.r#type) = (ints.to_vec(), 7),
    }
    proto
}

fn value_info(name: &str, element: Element, shape: &[Side]) -> ValueInfoProto {
    let dim = shape
        .iter()
        .map(|side| DimensionProto {
            value: Some(match side {
                Side::Fixed(n) => DimensionValue::DimValue(*n as i64),
                Side::Named(name) => DimensionValue::DimParam((*name).to_owned()),
            }),
        })
        .collect();
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: element as i32,
                shape: Some(TensorShapeProto { dim }),
            }),
        }),
    }
}

// The messages. Numbers are the fields' of onnx.proto (ONNX 1.17); fields we never set are left out.

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSetIdProto>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSetIdProto {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeProto>,
    #[prost(string, tag = "7")]
    domain: String,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, tag = "2")]
    f: f32,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    r#type: i32,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<StringStringEntryProto>,
    #[prost(int32, tag = "14")]
    data_location: i32,
}

#[derive(Clone, PartialEq, Message)]
struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfoProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<DimensionProto>,
}

#[derive(Clone, PartialEq, Message)]
struct DimensionProto {
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    value: Option<DimensionValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum DimensionValue {
    #[prost(int64, tag = "1")]
    DimValue(i64),
    #[prost(string, tag = "2")]
    DimParam(String),
}
