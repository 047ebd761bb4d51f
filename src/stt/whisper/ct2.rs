//! Reads a CTranslate2 `model.bin` (binary versions 2 to 6): the file is indexed once, its tensors
//! are read when they are asked for, so that no more than one of them is in memory.
//!
//! Layout, little endian: `u32` version, string specification, `u32` revision, `u32` count of
//! variables, each of them name, `u8` rank, `u32` dims, data type, `u32` size, data; from version 3 on
//! a `u32` count of aliases with two strings each. A string is a `u16` length (with the final NUL) and
//! its bytes. Below version 4 the data type is an item size and the size counts items (CTranslate2
//! 4.6, `src/models/model.cc`). A weight of `i8` or `i16` has a `<name>_scale` per row (or one for
//! all): the real value is the stored one divided by it.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

/// Sane bounds, far above every Whisper: a damaged count must not make us allocate or spin.
const MAX_VARIABLES: u32 = 100_000;
const MAX_RANK: u8 = 8;

/// What is wrong with a `model.bin`.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// The file ends before its content does, or cannot be read.
    #[error("it ends too early or cannot be read ({0})")]
    Read(#[from] io::Error),
    /// A number in the file is impossible.
    #[error("{0}")]
    Content(String),
}

fn content<T>(reason: impl Into<String>) -> Result<T, Damaged> {
    Err(Damaged::Content(reason.into()))
}

/// How a tensor's numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    F32,
    I8,
    I16,
    I32,
    F16,
    Bf16,
}

impl Kind {
    fn from_id(id: u8) -> Option<Self> {
        Some(match id {
            0 => Kind::F32,
            1 => Kind::I8,
            2 => Kind::I16,
            3 => Kind::I32,
            4 => Kind::F16,
            5 => Kind::Bf16,
            _ => return None,
        })
    }

    /// Versions 2 and 3 stored only the item size.
    fn from_item_size(size: u8) -> Option<Self> {
        Some(match size {
            1 => Kind::I8,
            2 => Kind::I16,
            4 => Kind::F32,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Kind::I8 => 1,
            Kind::I16 | Kind::F16 | Kind::Bf16 => 2,
            Kind::F32 | Kind::I32 => 4,
        }
    }
}

#[derive(Clone, Debug)]
struct Variable {
    kind: Kind,
    dims: Vec<usize>,
    offset: u64,
}

impl Variable {
    fn items(&self) -> usize {
        self.dims.iter().product()
    }
}

/// The index of a `model.bin` and its open file.
#[derive(Debug)]
pub struct Weights<R> {
    file: R,
    specification: String,
    variables: BTreeMap<String, Variable>,
    aliases: BTreeMap<String, String>,
}

impl<R: Read + Seek> Weights<R> {
    /// Reads the index; the tensors stay in the file.
    ///
    /// # Errors
    ///
    /// When the file is no `model.bin`, of an unknown version, or truncated anywhere.
    pub fn open(mut file: R) -> Result<Self, Damaged> {
        let end = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let mut header = Header { file, at: 0, end };
        let version = header.u32()?;
        if !(2..=6).contains(&version) {
            return content(format!(
                "it is no CTranslate2 model of version 2 to 6 (version field {version})"
            ));
        }
        let specification = header.string()?;
        let _revision = header.u32()?;
        let count = header.u32()?;
        if count > MAX_VARIABLES {
            return content(format!("it claims to hold {count} tensors"));
        }
        let mut variables = BTreeMap::new();
        for _ in 0..count {
            let name = header.string()?;
            let variable = header.variable(version, &name)?;
            variables.insert(name, variable);
        }
        let mut aliases = BTreeMap::new();
        if version >= 3 {
            let count = header.u32()?;
            if count > MAX_VARIABLES {
                return content(format!("it claims to hold {count} aliases"));
            }
            for _ in 0..count {
                let (alias, name) = (header.string()?, header.string()?);
                if !variables.contains_key(&name) {
                    return content(format!("its alias {alias} leads to no tensor"));
                }
                aliases.insert(alias, name);
            }
        }
        Ok(Self {
            file: header.file,
            specification,
            variables,
            aliases,
        })
    }

    /// The name under which a tensor is stored: an alias has its scale there, too.
    fn resolve<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(name).map_or(name, String::as_str)
    }

    /// What kind of model this is: `WhisperSpec` for Whisper.
    pub fn specification(&self) -> &str {
        &self.specification
    }

    /// Names of all tensors and aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let aliases = self.aliases.keys();
        self.variables.keys().chain(aliases).map(String::as_str)
    }

    /// Whether there is a tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        self.variables.contains_key(self.resolve(name))
    }

    /// The shape of tensor `name`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn dims(&self, name: &str) -> Result<&[usize], Damaged> {
        match self.variables.get(self.resolve(name)) {
            Some(variable) => Ok(&variable.dims),
            None => content(format!("its tensor {name} is missing")),
        }
    }

    /// One whole number, such as `encoder/num_heads`.
    ///
    /// # Errors
    ///
    /// When it is missing, fractional or cannot be read.
    pub fn integer(&mut self, name: &str) -> Result<i64, Damaged> {
        let values = self.raw(name, 0..1)?;
        match values.first() {
            Some(v) if v.fract() == 0.0 => Ok(*v as i64),
            _ => content(format!("its number {name} is not whole")),
        }
    }

    /// The whole tensor, in row order, as real values.
    ///
    /// # Errors
    ///
    /// When it is missing or cannot be read.
    pub fn all(&mut self, name: &str) -> Result<Vec<f32>, Damaged> {
        let rows = self.dims(name)?.first().copied().unwrap_or(1);
        self.rows(name, 0..rows)
    }

    /// Rows of a tensor (its first dimension), as real values: quantised ones divided by their scale.
    ///
    /// # Errors
    ///
    /// When the tensor or its scale is missing or has another shape, or cannot be read.
    pub fn rows(&mut self, name: &str, rows: Range<usize>) -> Result<Vec<f32>, Damaged> {
        let resolved = self.resolve(name).to_owned();
        let name = resolved.as_str();
        let dims = self.dims(name)?;
        let height = dims.first().copied().unwrap_or(1);
        // By division: the product of the other sides may overflow where one side is zero.
        let width = self.variables[name].items() / height.max(1);
        if rows.end > height || rows.start > rows.end {
            return content(format!(
                "its tensor {name} has {height} rows, {} are needed",
                rows.end
            ));
        }
        let mut values = self.raw(name, rows.start * width..rows.end * width)?;
        let quantised = matches!(self.variables[name].kind, Kind::I8 | Kind::I16);
        if quantised {
            let scale_name = format!("{name}_scale");
            let items = match self.variables.get(&scale_name) {
                Some(scale) => scale.items(),
                None => return content(format!("its tensor {name} is quantised without a scale")),
            };
            let scales = match items {
                1 => vec![self.raw(&scale_name, 0..1)?[0]; rows.len()],
                n if n == height => self.raw(&scale_name, rows)?,
                n => return content(format!("{name} has {height} rows and {n} scales")),
            };
            for (row, scale) in values.chunks_exact_mut(width.max(1)).zip(scales) {
                if !scale.is_finite() || scale == 0.0 {
                    return content(format!("{name} has a scale of {scale}"));
                }
                row.iter_mut().for_each(|v| *v /= scale);
            }
        }
        Ok(values)
    }

    /// Stored numbers `items` of a tensor, without their scale.
    fn raw(&mut self, name: &str, items: Range<usize>) -> Result<Vec<f32>, Damaged> {
        let Some(variable) = self.variables.get(self.resolve(name)) else {
            return content(format!("its tensor {name} is missing"));
        };
        if items.end > variable.items() {
            return content(format!("its tensor {name} is too small"));
        }
        let size = variable.kind.size();
        let start = variable.offset + (items.start * size) as u64;
        let mut bytes = vec![0; items.len() * size];
        self.file.seek(SeekFrom::Start(start))?;
        self.file.read_exact(&mut bytes)?;
        let pairs = || bytes.chunks_exact(2).map(|c| [c[0], c[1]]);
        let fours = || bytes.chunks_exact(4).map(|c| [c[0], c[1], c[2], c[3]]);
        Ok(match variable.kind {
            Kind::F32 => fours().map(f32::from_le_bytes).collect(),
            Kind::I32 => fours().map(|b| i32::from_le_bytes(b) as f32).collect(),
            Kind::I8 => bytes.iter().map(|&b| f32::from(b as i8)).collect(),
            Kind::I16 => pairs().map(|b| f32::from(i16::from_le_bytes(b))).collect(),
            Kind::F16 => pairs()
                .map(|b| half::f16::from_le_bytes(b).to_f32())
                .collect(),
            Kind::Bf16 => pairs()
                .map(|b| half::bf16::from_le_bytes(b).to_f32())
                .collect(),
        })
    }
}

/// The walk over the file while it is indexed. Small fields go through one small read each; a
/// Whisper has some 500 tensors, so that is cheap enough.
struct Header<R> {
    file: R,
    at: u64,
    end: u64,
}

impl<R: Read + Seek> Header<R> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, Damaged> {
        Ok(self.bytes::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, Damaged> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn string(&mut self) -> Result<String, Damaged> {
        let len = u16::from_le_bytes(self.bytes()?);
        let mut bytes = vec![0; usize::from(len)];
        self.file.read_exact(&mut bytes)?;
        self.at += u64::from(len);
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        String::from_utf8(bytes).or_else(|_| content("a name in it is no text"))
    }

    fn variable(&mut self, version: u32, name: &str) -> Result<Variable, Damaged> {
        let rank = self.u8()?;
        if rank > MAX_RANK {
            return content(format!("its tensor {name} claims {rank} dimensions"));
        }
        let mut dims = Vec::new();
        for _ in 0..rank {
            dims.push(self.u32()? as usize);
        }
        let type_field = self.u8()?;
        let size_field = u64::from(self.u32()?);
        let (kind, bytes) = if version >= 4 {
            (Kind::from_id(type_field), size_field)
        } else {
            (
                Kind::from_item_size(type_field),
                size_field * u64::from(type_field),
            )
        };
        let Some(kind) = kind else {
            return content(format!(
                "its tensor {name} has an unknown type {type_field}"
            ));
        };
        let expected = dims
            .iter()
            .try_fold(kind.size() as u64, |n, &d| n.checked_mul(d as u64));
        if expected != Some(bytes) {
            return content(format!(
                "its tensor {name} of shape {dims:?} claims {bytes} bytes"
            ));
        }
        let offset = self.at;
        if bytes > self.end - self.at.min(self.end) {
            return content(format!(
                "it ends inside tensor {name}: {} of {bytes} bytes are there",
                self.end - self.at.min(self.end)
            ));
        }
        self.at += bytes;
        self.file.seek(SeekFrom::Start(self.at))?;
        Ok(Variable { kind, dims, offset })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn string(out: &mut Vec<u8>, s: &str) {
        out.extend((s.len() as u16 + 1).to_le_bytes());
        out.extend(s.as_bytes());
        out.push(0);
    }

    fn file(version: u32, variables: &[(&str, &[u32], u8, &[u8])]) -> Vec<u8> {
        let mut out = version.to_le_bytes().to_vec();
        string(&mut out, "WhisperSpec");
        out.extend(3u32.to_le_bytes());
        out.extend((variables.len() as u32).to_le_bytes());
        for (name, dims, kind, data) in variables {
            string(&mut out, name);
            out.push(dims.len() as u8);
            dims.iter().for_each(|d| out.extend(d.to_le_bytes()));
            out.push(*kind);
            let size = if version >= 4 {
                data.len() as u32
            } else {
                data.len() as u32 / u32::from(*kind)
            };
            out.extend(size.to_le_bytes());
            out.extend(*data);
        }
        if version >= 3 {
            out.extend(1u32.to_le_bytes());
            string(&mut out, "other");
            string(&mut out, variables[0].0);
        }
        out
    }

    #[test]
    fn every_type_is_read_as_its_value() {
        let f16: Vec<u8> = [0.5f32, -2.0]
            .iter()
            .flat_map(|v| half::f16::from_f32(*v).to_le_bytes())
            .collect();
        let bf16: Vec<u8> = [0.5f32, -2.0]
            .iter()
            .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
            .collect();
        let i16: Vec<u8> = [512i16, -2048]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let f32: Vec<u8> = [0.5f32, -2.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let bytes = file(
            6,
            &[
                ("f32", &[2], 0, &f32),
                ("f16", &[2, 1], 4, &f16),
                ("bf16", &[1, 2], 5, &bf16),
                ("i16", &[2], 2, &i16),
                ("i16_scale", &[], 0, &1024f32.to_le_bytes()),
                ("i32", &[], 3, &8i32.to_le_bytes()),
            ],
        );
        let mut weights = Weights::open(Cursor::new(bytes)).unwrap();
        for name in ["f32", "f16", "bf16", "i16", "other"] {
            assert_eq!(weights.all(name).unwrap(), [0.5, -2.0], "{name}");
        }
        assert_eq!(weights.integer("i32").unwrap(), 8);
        assert_eq!(weights.rows("f16", 1..2).unwrap(), [-2.0]);
        assert!(weights.rows("f16", 1..3).is_err());
        assert!(weights.all("none").is_err());
    }

    #[test]
    fn int8_rows_are_divided_by_their_scale() {
        let scales: Vec<u8> = [127f32, 63.5]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let variables: &[(&str, &[u32], u8, &[u8])] = &[
            ("w", &[2, 2], 1, &[127, 0, 0x81, 127]),
            ("w_scale", &[2], 0, &scales),
        ];
        let mut weights = Weights::open(Cursor::new(file(6, variables))).unwrap();
        assert_eq!(weights.all("w").unwrap(), [1.0, 0.0, -2.0, 2.0]);
        assert_eq!(weights.rows("w", 1..2).unwrap(), [-2.0, 2.0]);
        assert_eq!(weights.all("other").unwrap(), weights.all("w").unwrap());
        let mut alone = Weights::open(Cursor::new(file(6, &variables[..1]))).unwrap();
        assert!(alone.all("w").is_err());
    }

    #[test]
    fn old_versions_store_item_sizes() {
        for version in [2, 3] {
            let bytes = file(version, &[("f32", &[1], 4, &2.5f32.to_le_bytes())]);
            let mut weights = Weights::open(Cursor::new(bytes)).unwrap();
            assert_eq!(weights.all("f32").unwrap(), [2.5]);
            assert_eq!(weights.has("other"), version == 3);
        }
    }

    #[test]
    fn a_side_of_zero_hides_no_overflow() {
        let huge = u32::MAX;
        let bytes = file(6, &[("none", &[0, huge, huge, huge, huge], 0, &[])]);
        let mut weights = Weights::open(Cursor::new(bytes)).unwrap();
        assert_eq!(weights.all("none").unwrap(), [0.0f32; 0]);
        assert!(weights.rows("none", 0..1).is_err());
        let bytes = file(6, &[("none", &[huge, huge, huge, 0], 0, &[])]);
        assert!(Weights::open(Cursor::new(bytes)).is_err());
    }

    #[test]
    fn a_file_cut_anywhere_or_with_any_wrong_byte_is_no_panic() {
        let bytes = file(6, &[("f32", &[1], 0, &2.5f32.to_le_bytes())]);
        for cut in 0..bytes.len() {
            assert!(Weights::open(Cursor::new(&bytes[..cut])).is_err(), "{cut}");
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                if let Ok(mut weights) = Weights::open(Cursor::new(bytes)) {
                    let names: Vec<String> = weights.names().map(str::to_owned).collect();
                    for name in names {
                        let _ = weights.all(&name);
                    }
                }
            }
        }
    }
}
