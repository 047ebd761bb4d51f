//! Weight matrices as this engine multiplies them: 8-bit blocks, whatever the file holds.
//!
//! candle 0.11 has AVX2 kernels for Q8_0, Q4_0 and the K-quants, and scalar code for Q4_1, Q5_0 and
//! Q5_1, in which small models are often shipped. K-quants need widths in multiples of 256, which
//! small models do not have. So every matrix becomes Q8_0 when it is loaded: nothing visible of a
//! 4- or 5-bit weight is lost in it, where Q4_0 would round a second time.
//!
//! Two ways to multiply, by the number of rows at once. A few (the answer, token by token): integer
//! dot products straight from the blocks, bound by memory. Many (the prompt): the matrix is unpacked
//! to `f32` and goes through candle's `gemm`, bound by arithmetic, where AVX2 without VNNI does more
//! in floats than candle's integer kernels do.

use candle_core::{
    Device, Tensor,
    quantized::k_quants::{BlockQ8_0, GgmlType},
};
use rayon::prelude::*;

/// Numbers to a block.
const BLOCK: usize = BlockQ8_0::BLCK_SIZE;

/// From so many rows on, unpacking should pay: reckoned from about 16 billion products a second for
/// the integer kernel and 70 for `gemm` on two AVX2 cores, and 100 million weights to unpack. Not
/// measured on a quiet machine yet.
const UNPACK_FROM: usize = 12;

/// Rows of a matrix that one thread takes at a time: about 20 microseconds of work.
const ROWS_AT_ONCE: usize = 64;

/// A matrix of `rows` × `cols`, row by row, in Q8_0.
pub(super) struct Matrix {
    rows: usize,
    cols: usize,
    blocks: Vec<BlockQ8_0>,
}

impl Matrix {
    /// Quantises `values`, which are `cols` to a row, below the rows that are there.
    ///
    /// # Panics
    ///
    /// When `cols` is no multiple of 32 or `values` are no whole rows: the loader checks both.
    pub(super) fn append(&mut self, values: &[f32]) {
        assert_eq!(values.len() % self.cols, 0, "whole rows");
        let old = self.blocks.len();
        let per_row = self.cols / BLOCK;
        self.rows += values.len() / self.cols;
        self.blocks.resize(self.rows * per_row, BlockQ8_0::zeros());
        self.blocks[old..]
            .par_chunks_mut(per_row)
            .zip(values.par_chunks(self.cols))
            .for_each(|(blocks, row)| BlockQ8_0::from_float(row, blocks));
    }

    /// A matrix without rows.
    pub(super) fn empty(cols: usize) -> Self {
        assert!(cols > 0 && cols.is_multiple_of(BLOCK), "whole blocks");
        Self {
            rows: 0,
            cols,
            blocks: Vec::new(),
        }
    }

    /// One row, unpacked.
    pub(super) fn row(&self, row: usize, out: &mut [f32]) {
        let per_row = self.cols / BLOCK;
        BlockQ8_0::to_float(&self.blocks[row * per_row..(row + 1) * per_row], out);
    }

    /// `x` (any number of rows of `cols`) times this matrix transposed: as many rows of `rows`.
    pub(super) fn times(&self, x: &[f32]) -> candle_core::Result<Vec<f32>> {
        let m = x.len() / self.cols;
        if m >= UNPACK_FROM {
            self.times_many(x, m)
        } else {
            Ok(self.times_few(x, m))
        }
    }

    fn times_few(&self, x: &[f32], m: usize) -> Vec<f32> {
        let per_row = self.cols / BLOCK;
        let mut x8 = vec![BlockQ8_0::zeros(); m * per_row];
        BlockQ8_0::from_float(x, &mut x8);
        // Transposed, so that what one thread writes lies together.
        let mut out = vec![0.0; m * self.rows];
        out.par_chunks_mut(ROWS_AT_ONCE * m)
            .zip(self.blocks.par_chunks(ROWS_AT_ONCE * per_row))
            .for_each(|(out, blocks)| {
                for (out, row) in out.chunks_exact_mut(m).zip(blocks.chunks_exact(per_row)) {
                    for (out, x) in out.iter_mut().zip(x8.chunks_exact(per_row)) {
                        *out = BlockQ8_0::vec_dot(self.cols, row, x);
                    }
                }
            });
        if m == 1 {
            return out;
        }
        let mut upright = vec![0.0; m * self.rows];
        for (column, values) in out.chunks_exact(m).enumerate() {
            for (row, value) in values.iter().enumerate() {
                upright[row * self.rows + column] = *value;
            }
        }
        upright
    }

    fn times_many(&self, x: &[f32], m: usize) -> candle_core::Result<Vec<f32>> {
        let per_row = self.cols / BLOCK;
        let mut wide = vec![0.0; self.rows * self.cols];
        wide.par_chunks_mut(ROWS_AT_ONCE * self.cols)
            .zip(self.blocks.par_chunks(ROWS_AT_ONCE * per_row))
            .for_each(|(wide, blocks)| BlockQ8_0::to_float(blocks, wide));
        let wide = Tensor::from_vec(wide, (self.rows, self.cols), &Device::Cpu)?;
        let x = Tensor::from_slice(x, (m, self.cols), &Device::Cpu)?;
        x.matmul(&wide.t()?)?.flatten_all()?.to_vec1()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in -1..1 that look random.
    fn noise(n: usize, seed: u32) -> Vec<f32> {
        (0..n as u32)
            .map(|i| {
                let x = (i ^ seed).wrapping_mul(2_654_435_761).rotate_left(13);
                (x.wrapping_mul(2_246_822_519) >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    fn exact(w: &[f32], x: &[f32], cols: usize) -> Vec<f32> {
        x.chunks(cols)
            .flat_map(|x| {
                w.chunks(cols)
                    .map(move |w| w.iter().zip(x).map(|(a, b)| a * b).sum::<f32>())
            })
            .collect()
    }

    #[test]
    fn few_and_many_rows_give_the_product_within_eight_bits() {
        let (rows, cols) = (96 + 7, 64);
        let w = noise(rows * cols, 1);
        let mut matrix = Matrix::empty(cols);
        matrix.append(&w[..32 * cols]);
        matrix.append(&w[32 * cols..]);
        for m in [1, 2, UNPACK_FROM - 1, UNPACK_FROM, 40] {
            let x = noise(m * cols, 2);
            let product = matrix.times(&x).expect("multiplies");
            let expected = exact(&w, &x, cols);
            assert_eq!(product.len(), expected.len());
            for (got, want) in product.iter().zip(&expected) {
                // 64 products, each off by at most 1/127 of 1 for either factor; errors add up as
                // the root of their number.
                assert!((got - want).abs() < 0.15, "{m} rows: {got} for {want}");
            }
        }
    }

    #[test]
    fn a_row_comes_back_as_it_went_in() {
        let w = noise(3 * 32, 3);
        let mut matrix = Matrix::empty(32);
        matrix.append(&w);
        let mut row = [0.0; 32];
        matrix.row(1, &mut row);
        for (got, want) in row.iter().zip(&w[32..64]) {
            assert!((got - want).abs() <= 1.0 / 127.0);
        }
    }
}
