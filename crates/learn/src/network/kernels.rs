//! Products of small matrices, a register tile at a time.
//!
//! Every sum runs over its terms one after another with a fused multiply-add, whatever the tile: tiles only say which
//! sums stand beside one another in registers. So the bits are the same with AVX-512, with AVX2 and without either.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Elements that a tile may read behind the end of a right-hand matrix, and never uses: it loads whole vectors.
pub const SLACK: usize = 32;

/// A left-hand matrix: element (i, p) is `values[row.at(i) + column.at(p)]`.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    /// The elements.
    pub values: &'a [f32],
    /// Where its rows begin.
    pub row: Steps,
    /// Where its columns lie.
    pub column: Steps,
}

impl<'a> Left<'a> {
    /// A matrix of `width` columns that lies row by row.
    pub fn rows(values: &'a [f32], width: usize) -> Self {
        Self { values, row: Steps::even(width), column: Steps::even(1) }
    }

    /// The transpose of a matrix of `width` columns that lies row by row.
    pub fn columns(values: &'a [f32], width: usize) -> Self {
        Self { values, row: Steps::even(1), column: Steps::even(width) }
    }
}

/// Places along a side of a matrix: runs of places that are `step` apart, whose beginnings are `jump` apart.
#[derive(Clone, Copy)]
pub struct Steps {
    /// From a place to the next of its run.
    pub step: usize,
    /// Places of a run.
    pub run: usize,
    /// From the beginning of a run to that of the next.
    pub jump: usize,
}

impl Steps {
    /// One run.
    pub const fn even(step: usize) -> Self {
        Self { step, run: usize::MAX, jump: 0 }
    }

    /// Where place `i` is.
    #[inline(always)]
    pub fn at(self, i: usize) -> usize {
        if i < self.run { i * self.step } else { i / self.run * self.jump + i % self.run * self.step }
    }

    /// At least where the last of `count` places is, and every other.
    #[inline(always)]
    fn most(self, count: usize) -> usize {
        let last = count.saturating_sub(1);
        if last < self.run { last * self.step } else { last / self.run * self.jump + (self.run - 1) * self.step }
    }
}

/// A vector of floats in a register.
pub trait Lanes: Copy {
    /// How many floats.
    const LANES: usize;
    /// How many rows of a tile, two vectors wide, fit the registers.
    const ROWS: usize;

    /// `value` in every lane.
    fn splat(value: f32) -> Self;

    /// The floats at `from`.
    ///
    /// # Safety
    /// [`Self::LANES`] floats can be read there.
    unsafe fn load(from: *const f32) -> Self;

    /// Writes the floats to `to`.
    ///
    /// # Safety
    /// [`Self::LANES`] floats can be written there.
    unsafe fn store(self, to: *mut f32);

    /// `self * factor + term`, rounded once.
    fn mul_add(self, factor: Self, term: Self) -> Self;

    /// The sum.
    fn add(self, other: Self) -> Self;

    /// The difference.
    fn sub(self, other: Self) -> Self;

    /// The product.
    fn mul(self, other: Self) -> Self;

    /// Zero where a lane is negative. What is not a number stays so.
    fn relu(self) -> Self;

    /// `yes` where a lane is larger than `other`'s or is not a number, else `no`.
    fn larger(self, other: Self, yes: Self, no: Self) -> Self;

    /// `self` where the lanes of `a` and `b` are equal, else zero.
    fn where_equal(self, a: Self, b: Self) -> Self;

    /// Writes the transpose of the 8 × 8 block at `from`, whose rows are `stride` apart, to `to`.
    ///
    /// # Safety
    /// The block can be read, and the rows `to_stride` apart at `to` can be written.
    #[inline(always)]
    unsafe fn transpose_block(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
        for i in 0..8 {
            for j in 0..8 {
                // SAFETY: the caller's promise.
                unsafe { *to.add(j * to_stride + i) = *from.add(i * stride + j) };
            }
        }
    }

    /// The first floats of `from`, then zeros.
    #[inline(always)]
    fn read(from: &[f32]) -> Self {
        if from.len() >= Self::LANES {
            // SAFETY: the floats are there.
            return unsafe { Self::load(from.as_ptr()) };
        }
        let mut padded = [0.0; 16];
        padded[..from.len()].copy_from_slice(from);
        // SAFETY: no vector has more than 16 lanes.
        unsafe { Self::load(padded.as_ptr()) }
    }

    /// Fills `to`, as far as there are lanes.
    #[inline(always)]
    fn write(self, to: &mut [f32]) {
        if to.len() >= Self::LANES {
            // SAFETY: there is room.
            return unsafe { self.store(to.as_mut_ptr()) };
        }
        let mut padded = [0.0; 16];
        // SAFETY: no vector has more than 16 lanes.
        unsafe { self.store(padded.as_mut_ptr()) };
        to.copy_from_slice(&padded[..to.len()]);
    }
}

impl Lanes for f32 {
    const LANES: usize = 1;
    const ROWS: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        value
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { *from }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { *to = self }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        f32::mul_add(self, factor, term)
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self + other
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self - other
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self * other
    }

    #[inline(always)]
    fn relu(self) -> Self {
        if self < 0.0 { 0.0 } else { self }
    }

    #[inline(always)]
    fn larger(self, other: Self, yes: Self, no: Self) -> Self {
        if self > other || self.is_nan() { yes } else { no }
    }

    #[inline(always)]
    fn where_equal(self, a: Self, b: Self) -> Self {
        if a == b { self } else { 0.0 }
    }
}

/// A vector register of x86-64. The methods are inlined into functions that have the CPU feature, and called nowhere else.
#[cfg(target_arch = "x86_64")]
macro_rules! x86_lanes {
    ($vector:ident, $lanes:literal, $rows:literal, $splat:ident, $load:ident, $store:ident, $mul_add:ident, $add:ident,
     $sub:ident, $mul:ident, $max:ident, $larger:ident, $where_equal:ident) => {
        impl Lanes for $vector {
            const LANES: usize = $lanes;
            const ROWS: usize = $rows;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                // SAFETY: the feature is there, see above; it needs nothing else.
                unsafe { $splat(value) }
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: the feature is there, and the caller promises the floats.
                unsafe { $load(from) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: the feature is there, and the caller promises the room.
                unsafe { $store(to, self) }
            }

            #[inline(always)]
            unsafe fn transpose_block(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
                // SAFETY: the feature is there, and the caller promises the block.
                unsafe { transpose_block_x86(from, stride, to, to_stride) }
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                // SAFETY: the feature is there; it needs nothing else.
                unsafe { $mul_add(self, factor, term) }
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: the feature is there; it needs nothing else.
                unsafe { $add(self, other) }
            }

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: the feature is there; it needs nothing else.
                unsafe { $sub(self, other) }
            }

            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                // SAFETY: the feature is there; it needs nothing else.
                unsafe { $mul(self, other) }
            }

            #[inline(always)]
            fn relu(self) -> Self {
                // SAFETY: the feature is there; it needs nothing else. Where one is NaN, the second operand is the result.
                unsafe { $max($splat(0.0), self) }
            }

            #[inline(always)]
            fn larger(self, other: Self, yes: Self, no: Self) -> Self {
                // SAFETY: the feature is there; it needs nothing else.
                unsafe { $larger(self, other, yes, no) }
            }

            #[inline(always)]
            fn where_equal(self, a: Self, b: Self) -> Self {
                // SAFETY: the feature is there; it needs nothing else.
                unsafe { $where_equal(self, a, b) }
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
x86_lanes!(
    __m512,
    16,
    8,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_max_ps,
    larger_512,
    where_equal_512
);
#[cfg(target_arch = "x86_64")]
x86_lanes!(
    __m256,
    8,
    4,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_max_ps,
    larger_256,
    where_equal_256
);

/// As [`Lanes::larger`]. Needs AVX-512.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn larger_512(value: __m512, other: __m512, yes: __m512, no: __m512) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe {
        let larger = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(value, other);
        let unordered = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value);
        _mm512_mask_blend_ps(larger | unordered, no, yes)
    }
}

/// As [`Lanes::where_equal`]. Needs AVX-512.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn where_equal_512(value: __m512, a: __m512, b: __m512) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b), value) }
}

/// As [`Lanes::larger`]. Needs AVX.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn larger_256(value: __m256, other: __m256, yes: __m256, no: __m256) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe {
        let larger = _mm256_cmp_ps::<_CMP_GT_OQ>(value, other);
        let unordered = _mm256_cmp_ps::<_CMP_UNORD_Q>(value, value);
        _mm256_blendv_ps(no, yes, _mm256_or_ps(larger, unordered))
    }
}

/// As [`Lanes::where_equal`]. Needs AVX.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn where_equal_256(value: __m256, a: __m256, b: __m256) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b), value) }
}

/// Where the sums of a product go.
pub trait Finish {
    /// Takes the sums of row `i` from column `j` on; the first `used` lanes count.
    fn finish<V: Lanes>(&mut self, i: usize, j: usize, sums: V, used: usize);
}

/// Writes a product to a matrix whose rows are as wide as the product.
pub struct Store<'a> {
    /// The matrix.
    pub to: &'a mut [f32],
    /// Its columns.
    pub columns: usize,
}

impl Finish for Store<'_> {
    #[inline(always)]
    fn finish<V: Lanes>(&mut self, i: usize, j: usize, sums: V, used: usize) {
        sums.write(&mut self.to[i * self.columns + j..][..used]);
    }
}

/// Adds a product to a matrix whose rows are as wide as the product.
pub struct Sum<'a> {
    /// The matrix.
    pub to: &'a mut [f32],
    /// Its columns.
    pub columns: usize,
}

impl Finish for Sum<'_> {
    #[inline(always)]
    fn finish<V: Lanes>(&mut self, i: usize, j: usize, sums: V, used: usize) {
        let to = &mut self.to[i * self.columns + j..][..used];
        V::read(to).add(sums).write(to);
    }
}

/// Computes the `m` × `n` product of `a` (`m` × `k`) and `b` (`k` rows, `stride` apart), and hands the sums
/// to `to`. `b` has [`SLACK`] more elements than it needs.
#[inline(always)]
pub fn product<V: Lanes>(
    (m, k, n): (usize, usize, usize),
    a: Left,
    (b, stride): (&[f32], usize),
    to: &mut impl Finish,
) {
    let (mut j, mut run) = (0, Run { k, a, b, stride, to });
    while j < n {
        if n - j > V::LANES {
            run.columns::<V, 2>(m, j, (n - j).min(2 * V::LANES));
            j += 2 * V::LANES;
        } else {
            run.columns::<V, 1>(m, j, n - j);
            j += V::LANES;
        }
    }
}

/// What every tile of a product shares.
struct Run<'a, F> {
    k: usize,
    a: Left<'a>,
    b: &'a [f32],
    stride: usize,
    to: &'a mut F,
}

impl<F: Finish> Run<'_, F> {
    /// The columns `j..j + used`, which `W` vectors hold, as many rows at a time as fit.
    #[inline(always)]
    fn columns<V: Lanes, const W: usize>(&mut self, m: usize, j: usize, used: usize) {
        let mut i = 0;
        while V::ROWS == 8 && i + 8 <= m {
            self.tile::<V, 8, W>(i, j, used);
            i += 8;
        }
        while i + 4 <= m {
            self.tile::<V, 4, W>(i, j, used);
            i += 4;
        }
        // A sum waits for its last term: two beside one another take no longer than one.
        while i + 2 <= m {
            self.tile::<V, 2, W>(i, j, used);
            i += 2;
        }
        while i < m {
            self.tile::<V, 1, W>(i, j, used);
            i += 1;
        }
    }

    /// The sums of `R` rows × `W` vectors from (i, j) on.
    #[inline(always)]
    fn tile<V: Lanes, const R: usize, const W: usize>(&mut self, i: usize, j: usize, used: usize) {
        let mut sums = [[V::splat(0.0); W]; R];
        let (a, last) = (self.a, self.k.saturating_sub(1));
        let (a_last, b_last) = (a.row.most(i + R) + a.column.most(self.k), last * self.stride + j + W * V::LANES - 1);
        assert!(
            self.k == 0 || (a_last < a.values.len() && b_last < self.b.len()),
            "a tile reaches outside its matrices"
        );
        let rows: [usize; R] = std::array::from_fn(|r| a.row.at(i + r));
        let (mut done, mut start) = (0, 0);
        while done < self.k {
            let run = a.column.run.min(self.k - done);
            for p in 0..run {
                // SAFETY: no index is larger than the one that was just held against the length. Checking each costs a third
                // of the step's time.
                let row: [V; W] = std::array::from_fn(|w| unsafe {
                    V::load(self.b.as_ptr().add((done + p) * self.stride + j + w * V::LANES))
                });
                for (r, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: as above.
                    let x = V::splat(unsafe { *a.values.get_unchecked(rows[r] + start + p * a.column.step) });
                    for (sum, value) in sums.iter_mut().zip(row) {
                        *sum = x.mul_add(value, *sum);
                    }
                }
            }
            (done, start) = (done + run, start + a.column.jump);
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (w, sum) in sums.into_iter().enumerate() {
                let first = w * V::LANES;
                self.to.finish(i + r, j + first, sum, V::LANES.min(used - first));
            }
        }
    }
}

/// Writes the transpose of `from` (`rows` × `columns`) to `to`, in blocks of 8 × 8 as far as they go.
#[inline(always)]
pub fn transpose<V: Lanes>(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    assert!(from.len() >= rows * columns && to.len() >= rows * columns, "a matrix is smaller than its shape");
    let (whole_rows, whole_columns) = (rows / 8 * 8, columns / 8 * 8);
    for i in (0..whole_rows).step_by(8) {
        for j in (0..whole_columns).step_by(8) {
            // SAFETY: the block lies inside both matrices, which are as large as their shapes.
            unsafe {
                V::transpose_block(from.as_ptr().add(i * columns + j), columns, to.as_mut_ptr().add(j * rows + i), rows)
            }
        }
    }
    for i in 0..rows {
        let rest = if i < whole_rows { whole_columns..columns } else { 0..columns };
        for j in rest {
            to[j * rows + i] = from[i * columns + j];
        }
    }
}

/// An 8 × 8 transpose in registers: pairs of rows four apart are joined by halves, then interleaved twice.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_block_x86(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
    // SAFETY: the caller's promise; the instructions are there where this is inlined.
    unsafe {
        let half = |row: usize, column: usize| _mm_loadu_ps(from.add(row * stride + column));
        let pair = |row: usize, column: usize| _mm256_set_m128(half(row + 4, column), half(row, column));
        for column in [0, 4] {
            let [a, b, c, d] = [0, 1, 2, 3].map(|row| pair(row, column));
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (low_2, high_2) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            let store = |at: usize, values| _mm256_storeu_ps(to.add((column + at) * to_stride), values);
            store(0, _mm256_shuffle_ps::<0b01_00_01_00>(low, low_2));
            store(1, _mm256_shuffle_ps::<0b11_10_11_10>(low, low_2));
            store(2, _mm256_shuffle_ps::<0b01_00_01_00>(high, high_2));
            store(3, _mm256_shuffle_ps::<0b11_10_11_10>(high, high_2));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(n: usize, seed: u32) -> Vec<f32> {
        (0..n).map(|i| ((i as f32 + 1.0) * 0.37 + seed as f32).sin()).collect()
    }

    fn with<V: Lanes>(m: usize, k: usize, n: usize, a: Left, b: &[f32]) -> Vec<f32> {
        let mut c = vec![f32::NAN; m * n];
        product::<V>((m, k, n), a, (b, n), &mut Store { to: &mut c, columns: n });
        c
    }

    proptest! {
        #[test]
        fn a_product_is_the_sum_of_products_whatever_the_tiles(m in 1usize..20, k in 0usize..12, n in 1usize..150, seed: u16) {
            let a = values(m * k, u32::from(seed));
            let mut b = values(k * n, u32::from(seed) + 1);
            b.resize(k * n + SLACK, f32::NAN);
            let want: Vec<u32> = (0..m * n)
                .map(|c| (0..k).fold(0f32, |sum, p| a[c / n * k + p].mul_add(b[p * n + c % n], sum)).to_bits())
                .collect();
            let bits = |c: Vec<f32>| c.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            prop_assert_eq!(&bits(with::<f32>(m, k, n, Left::rows(&a, k), &b)), &want);
            let mut turned = vec![0.0; m * k];
            transpose::<f32>(&a, m, k, &mut turned);
            prop_assert_eq!(&bits(with::<f32>(m, k, n, Left::columns(&turned, m), &b)), &want);
        }

        #[test]
        fn a_transpose_moves_every_element(rows in 1usize..40, columns in 1usize..40) {
            let from = values(rows * columns, 3);
            let mut to = vec![0.0; from.len()];
            transpose::<f32>(&from, rows, columns, &mut to);
            for i in 0..rows {
                for j in 0..columns {
                    prop_assert_eq!(to[j * rows + i], from[i * columns + j]);
                }
            }
        }
    }
}
