//! Large matrix products: by the `gemm` library, which packs its matrices first, or by our register tiles, which do not.

use gemm::Parallelism;
use rayon::prelude::*;

use super::{
    kernels::{Lanes, Left, Store, product},
    layer::Pass,
    simd::Kernel,
};

/// Products of fewer multiply-adds stay on one thread: handing them out would cost more.
pub const WORTH_THREADS: usize = 1 << 20;

/// A matrix somewhere in a slice: element (i, j) is `values[i * row + j * column]`.
#[derive(Clone, Copy)]
pub struct View<'a> {
    values: &'a [f32],
    row: usize,
    column: usize,
}

impl<'a> View<'a> {
    /// A matrix of `width` columns that lies row by row.
    pub fn rows(values: &'a [f32], width: usize) -> Self {
        Self { values, row: width, column: 1 }
    }

    /// The transpose of a matrix of `width` columns that lies row by row.
    pub fn columns(values: &'a [f32], width: usize) -> Self {
        Self { values, row: 1, column: width }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.row + (columns - 1) * self.column < self.values.len()
    }
}

/// Writes the `m` × `n` product of `a` (`m` × `k`) and `b` (`k` × `n`) to `c`, row by row, or adds it to what is there.
///
/// Threads share out tiles of `c`, never a sum's terms, so their number changes no bit.
///
/// # Panics
/// If a matrix reaches outside its slice.
pub fn multiply(pass: &Pass, (m, k, n): (usize, usize, usize), a: View, b: View, c: &mut [f32], add: bool) {
    assert!(a.holds(m, k) && b.holds(k, n) && c.len() >= m * n, "a matrix reaches outside its slice");
    let work = m * k * n;
    let threads =
        if pass.threads > 1 && work >= WORTH_THREADS { Parallelism::Rayon(pass.threads) } else { Parallelism::None };
    let (one, width) = (1.0f32, n as isize);
    // SAFETY: the three matrices lie inside their slices, which was just asserted; `c` is borrowed for us alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            width,
            add,
            a.values.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.values.as_ptr(),
            b.column as isize,
            b.row as isize,
            one,
            one,
            false,
            false,
            false,
            threads,
        );
    }
}

/// Writes the `m` × `n` product of `a` (`m` × `k`, with rows evenly apart) and `b` (`k` rows, `stride` apart, with [`super::kernels::SLACK`] more floats than it
/// needs) to `c`, row by row. It packs nothing: for a matrix that is used only a few times, that is half the work.
///
/// Threads share out rows of `c`, and every sum runs over its terms one after another: neither threads nor how many rows there are
/// change a bit of a row.
pub fn multiply_unpacked(
    pass: &Pass,
    (m, k, n): (usize, usize, usize),
    a: Left,
    (b, stride): (&[f32], usize),
    c: &mut [f32],
) {
    let some = |(i, c): (usize, &mut [f32])| {
        let a = Left { values: &a.values[i * AT_ONCE * a.row.step..], ..a };
        pass.simd.kernel(Tiles { shape: (c.len() / n, k, n), a, b, stride, c });
    };
    if pass.threads > 1 && m * k * n >= WORTH_THREADS {
        c[..m * n].par_chunks_mut(AT_ONCE * n).enumerate().for_each(some);
    } else if m > 0 {
        pass.simd.kernel(Tiles { shape: (m, k, n), a, b, stride, c });
    }
}

/// Rows that a thread takes at a time: whole tiles.
const AT_ONCE: usize = 16;

/// A product by register tiles.
struct Tiles<'a> {
    shape: (usize, usize, usize),
    a: Left<'a>,
    b: &'a [f32],
    stride: usize,
    c: &'a mut [f32],
}

impl Kernel for Tiles<'_> {
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { shape, a, b, stride, c } = self;
        product::<V>(shape, a, (b, stride), &mut Store { to: c, columns: shape.2 });
    }
}
