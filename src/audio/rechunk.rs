//! Any-sized pieces in, exact windows out.

/// Cuts a stream of any-sized pieces into windows of exactly `len` samples.
///
/// Holds at most `len - 1` samples between calls.
#[derive(Debug)]
pub struct Rechunker {
    len: usize,
    held: Vec<f32>,
}

impl Rechunker {
    /// # Panics
    ///
    /// If `len` is zero.
    pub fn new(len: usize) -> Self {
        assert!(len > 0, "a window holds at least one sample");
        Self {
            len,
            held: Vec::with_capacity(len),
        }
    }

    /// Takes a piece and calls `each` with every window that is now complete.
    pub fn push(&mut self, mut piece: &[f32], mut each: impl FnMut(&[f32])) {
        while self.held.len() + piece.len() >= self.len {
            if self.held.is_empty() {
                each(&piece[..self.len]);
                piece = &piece[self.len..];
                continue;
            }
            let (head, rest) = piece.split_at(self.len - self.held.len());
            self.held.extend_from_slice(head);
            each(&self.held);
            self.held.clear();
            piece = rest;
        }
        self.held.extend_from_slice(piece);
    }

    /// Forgets what is held.
    pub fn clear(&mut self) {
        self.held.clear();
    }

    /// Samples held, waiting for the rest of their window.
    pub fn held(&self) -> &[f32] {
        &self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_whole_give_the_same_windows() {
        let whole: Vec<f32> = (0..1000u16).map(f32::from).collect();
        let windows = |piece: usize| {
            let mut rechunker = Rechunker::new(160);
            let mut out = Vec::new();
            for p in whole.chunks(piece) {
                rechunker.push(p, |w| out.push(w.to_vec()));
            }
            out
        };
        let expected = windows(whole.len());
        assert_eq!(expected.len(), 1000 / 160);
        for piece in [1, 7, 159, 160, 161, 333] {
            assert_eq!(windows(piece), expected, "piece size {piece}");
        }
    }
}
