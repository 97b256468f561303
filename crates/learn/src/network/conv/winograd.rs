//! Convolution with fewer multiplications: F(2 × 2, 3 × 3) and F(2 × 2, 5 × 5) of Lavin and Gray 2016, Algorithm 1
//! <https://arxiv.org/abs/1509.09308>. They take 2.25 and 2.78 times fewer than windows do.
//!
//! A tile of T × T input pixels makes M × M output pixels. With V = Bᵀ·d·B of an input tile d and U = G·g·Gᵀ of a kernel g,
//! the output is Aᵀ·(U ⊙ V)·A, where ⊙ sums over channels: T² matrix products, one for each place of the tile. Its
//! derivatives are the same products turned round: with M' = A·dy·Aᵀ, g' = Gᵀ·(Vᵀ·M')·G and d' = B·(M'·Uᵀ)·Bᵀ.
#![expect(clippy::needless_range_loop, reason = "small matrices, whose rows and columns have equal rights")]

use super::{
    Conv2d, Slopes,
    pooled::{Pooled, largest, spread},
};
use crate::network::{
    kernels::Lanes,
    layer::Pass,
    matrix::{View, WORTH_THREADS, multiply},
    simd::Kernel,
};
use rayon::prelude::*;

/// Channels are a multiple of this, the widest vector.
const CHANNELS: usize = 16;

/// Floats of one of the two matrices of tiles that stay in the cache: 1 MiB.
const CACHE: usize = 1 << 18;

/// The fewest tiles that make the transformed kernels worth reading.
const FEWEST: usize = 64;

/// Output pixels of a tile's side.
const MADE: usize = 2;

/// A convolution's way by Winograd's algorithm.
#[derive(Clone, Copy)]
pub struct Winograd {
    height: usize,
    width: usize,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    /// Whether a ReLU follows.
    relu: bool,
    /// Whether a 2 × 2 max-pool follows then: of what a tile makes.
    pool: bool,
}

impl Winograd {
    /// If it has one: a 3 × 3 or 5 × 5 kernel over an image that tiles cover, with enough channels to pay for the transforms.
    pub fn of(conv: &Conv2d) -> Option<Self> {
        let Conv2d { input, channels, kernel, stride, padding, relu, pool, .. } = *conv;
        let fits = matches!(kernel, 3 | 5) && stride == 1 && padding == kernel / 2;
        let covered = input.height.is_multiple_of(MADE) && input.width.is_multiple_of(MADE);
        let wide = input.channels.is_multiple_of(CHANNELS) && channels.is_multiple_of(CHANNELS);
        let (height, width, inputs) = (input.height, input.width, input.channels);
        let way = Self { height, width, inputs, outputs: channels, kernel, relu, pool };
        (fits && covered && wide).then_some(way)
    }

    /// Floats to work in.
    pub fn scratch(&self, rows: usize) -> usize {
        2 * self.kernels() + self.tiles_at_once(rows) * self.places() * (self.inputs + self.outputs)
    }

    /// Writes what comes out, bias, ReLU and pooling done.
    pub fn forward(&self, pass: &Pass, weight: &[f32], x: &[f32], to: Pooled<'_>, scratch: &mut [f32]) {
        if self.kernel == 3 {
            self.forward_of::<3, 4>(pass, weight, x, to, scratch);
        } else {
            self.forward_of::<5, 6>(pass, weight, x, to, scratch);
        }
    }

    /// Writes the weight's gradient, and `dx` if somebody asks.
    pub fn backward(&self, pass: &Pass, given: Slopes<'_>) {
        if self.kernel == 3 {
            self.backward_of::<3, 4>(pass, given);
        } else {
            self.backward_of::<5, 6>(pass, given);
        }
    }

    /// How a batch's products are made: each on one thread, and whether threads share out the places of a tile. What comes of
    /// a place does not depend on the thread that makes it.
    fn share_out(&self, pass: &Pass) -> (Pass, bool) {
        let work = self.kernels() * self.tiles_at_once(pass.rows);
        (Pass { threads: 1, ..*pass }, pass.threads > 1 && work >= WORTH_THREADS)
    }

    /// Places of a tile: T².
    fn places(&self) -> usize {
        (self.kernel + MADE - 1).pow(2)
    }

    fn kernels(&self) -> usize {
        self.places() * self.inputs * self.outputs
    }

    /// Tiles of an image's width.
    fn line(&self) -> usize {
        self.width / MADE
    }

    /// Lines of tiles in a batch.
    fn lines(&self, rows: usize) -> usize {
        rows * self.height / MADE
    }

    fn tiles_at_once(&self, rows: usize) -> usize {
        let tiles = (CACHE / (self.places() * self.inputs.max(self.outputs))).max(FEWEST);
        tiles.div_ceil(self.line()).clamp(1, self.lines(rows).max(1)) * self.line()
    }

    /// The tiles of a batch, some lines of them at a time: the first line, and how many tiles.
    fn parts(&self, rows: usize) -> impl Iterator<Item = (usize, usize)> {
        let (line, lines) = (self.line(), self.lines(rows));
        let step = self.tiles_at_once(rows) / line;
        (0..lines).step_by(step).map(move |first| (first, step.min(lines - first) * line))
    }
}

impl Winograd {
    fn forward_of<const K: usize, const T: usize>(
        &self,
        pass: &Pass,
        weight: &[f32],
        x: &[f32],
        mut to: Pooled<'_>,
        scratch: &mut [f32],
    ) where
        KernelIn: Transform<K, T>,
        Input: Transform<T, T>,
        Output: Transform<T, MADE>,
    {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let (kernels, scratch) = scratch.split_at_mut(self.kernels());
        pass.simd.kernel(Kernels::<K, T> { weight, kernels, size: inputs * outputs });
        let (v, m) = scratch.split_at_mut(self.tiles_at_once(pass.rows) * T * T * inputs);
        let (alone, share_out) = self.share_out(pass);
        for (first, tiles) in self.parts(pass.rows) {
            pass.simd.kernel(Tiles::<T> { way: self, first, tiles, x, v });
            let product = |(place, m): (usize, &mut [f32])| {
                let (v, kernel) = (part(v, place, tiles * inputs), part(kernels, place, inputs * outputs));
                multiply(
                    &alone,
                    (tiles, inputs, outputs),
                    View::rows(v, inputs),
                    View::rows(kernel, outputs),
                    m,
                    false,
                );
            };
            let (size, all) = (tiles * outputs, &mut m[..T * T * tiles * outputs]);
            if share_out {
                all.par_chunks_exact_mut(size).enumerate().for_each(product);
            } else {
                all.chunks_exact_mut(size).enumerate().for_each(product);
            }
            pass.simd.kernel(Outputs::<T> { way: self, first, tiles, m, to: &mut to });
        }
    }

    fn backward_of<const K: usize, const T: usize>(&self, pass: &Pass, given: Slopes<'_>)
    where
        KernelIn: Transform<K, T>,
        KernelSlope: Transform<T, K>,
        Input: Transform<T, T>,
        InputSlope: Transform<T, T>,
        OutputSlope: Transform<MADE, T>,
    {
        let Slopes { weight, gradient, x, dy, codes, mut dx, scratch } = given;
        let (inputs, outputs) = (self.inputs, self.outputs);
        let size = inputs * outputs;
        let (kernels, scratch) = scratch.split_at_mut(self.kernels());
        let (slopes, scratch) = scratch.split_at_mut(self.kernels());
        let (v, m) = scratch.split_at_mut(self.tiles_at_once(pass.rows) * T * T * inputs);
        let (alone, share_out) = self.share_out(pass);
        if let Some(dx) = dx.as_deref_mut() {
            pass.simd.kernel(Kernels::<K, T> { weight, kernels, size });
            dx.fill(0.0);
        }
        for (first, tiles) in self.parts(pass.rows) {
            pass.simd.kernel(Tiles::<T> { way: self, first, tiles, x, v });
            pass.simd.kernel(OutputSlopes::<T> { way: self, first, tiles, dy, codes, m });
            let products = |(place, (v, slope)): (usize, (&mut [f32], &mut [f32]))| {
                let m = View::rows(part(m, place, tiles * outputs), outputs);
                multiply(&alone, (inputs, tiles, outputs), View::columns(v, inputs), m, slope, first > 0);
                if dx.is_some() {
                    let kernel = View::columns(part(kernels, place, size), outputs);
                    multiply(&alone, (tiles, outputs, inputs), m, kernel, v, false);
                }
            };
            let (width, all) = (tiles * inputs, &mut v[..T * T * tiles * inputs]);
            if share_out {
                all.par_chunks_exact_mut(width).zip(slopes.par_chunks_exact_mut(size)).enumerate().for_each(products);
            } else {
                all.chunks_exact_mut(width).zip(slopes.chunks_exact_mut(size)).enumerate().for_each(products);
            }
            if let Some(dx) = dx.as_deref_mut() {
                pass.simd.kernel(InputSlopes::<T> { way: self, first, tiles, v, dx });
            }
        }
        pass.simd.kernel(KernelSlopes::<K, T> { slopes, gradient, size });
    }

    /// Where the pixels lie that a tile sees. `first` is the first line of tiles.
    #[inline(always)]
    fn seen<const T: usize>(&self, first: usize, tile: usize) -> Places<T> {
        let (line, column) = (first + tile / self.line(), MADE * (tile % self.line()));
        let (image, row) = (line / (self.height / MADE), MADE * (line % (self.height / MADE)));
        let padding = self.kernel / 2;
        let inside = |at: usize, most: usize| (padding.saturating_sub(at), (padding + most - at).min(T));
        Places {
            // Wraps where the tile begins before the first image.
            start: ((image * self.height + row) * self.width + column)
                .wrapping_sub(padding * self.width + padding)
                .wrapping_mul(self.inputs),
            row: self.width * self.inputs,
            column: self.inputs,
            rows: inside(row, self.height),
            columns: inside(column, self.width),
        }
    }

    /// Where the pixels lie that a tile makes.
    #[inline(always)]
    fn made(&self, first: usize, tile: usize) -> Places<MADE> {
        let (line, column) = (first + tile / self.line(), tile % self.line());
        let start = MADE * (line * self.width + column) * self.outputs;
        Places { start, row: self.width * self.outputs, column: self.outputs, rows: (0, MADE), columns: (0, MADE) }
    }

    /// Where the one pixel lies that is left of a tile.
    #[inline(always)]
    fn left(&self, first: usize, tile: usize) -> usize {
        (first * self.line() + tile) * self.outputs
    }
}

fn part(of: &[f32], place: usize, size: usize) -> &[f32] {
    &of[place * size..][..size]
}

/// Where the floats of a matrix lie: element (i, j) at `start + i * row + j * column`, if it is there.
#[derive(Clone, Copy)]
struct Places<const N: usize> {
    start: usize,
    row: usize,
    column: usize,
    /// From the first row that is there to behind the last.
    rows: (usize, usize),
    columns: (usize, usize),
}

impl<const N: usize> Places<N> {
    /// Of places that lie `size` apart, from `start` on.
    #[inline(always)]
    fn planes(start: usize, size: usize) -> Self {
        Self { start, row: N * size, column: size, rows: (0, N), columns: (0, N) }
    }

    #[inline(always)]
    fn at(&self, i: usize, j: usize) -> usize {
        self.start.wrapping_add(i * self.row + j * self.column)
    }

    #[inline(always)]
    fn has(&self, i: usize, j: usize) -> bool {
        (self.rows.0..self.rows.1).contains(&i) && (self.columns.0..self.columns.1).contains(&j)
    }

    #[inline(always)]
    fn is_whole(&self) -> bool {
        (self.rows, self.columns) == ((0, N), (0, N))
    }

    /// Holds all that is there, and `channels` floats behind each, to a slice's length.
    #[inline(always)]
    fn check(&self, channels: usize, length: usize) {
        assert!(self.rows.0 < self.rows.1 && self.columns.0 < self.columns.1, "a tile sees something");
        let (low, high) = (self.at(self.rows.0, self.columns.0), self.at(self.rows.1 - 1, self.columns.1 - 1));
        assert!(low <= high && high < length && length - high >= channels, "a tile reaches outside its slice");
    }

    /// The vectors `channel` floats behind each place; zero where there is none.
    ///
    /// # Safety
    /// [`Self::check`] held, of more channels than `channel` and a vector.
    #[inline(always)]
    unsafe fn load<V: Lanes>(&self, from: &[f32], channel: usize) -> [[V; N]; N] {
        let mut values = [[V::splat(0.0); N]; N];
        if self.is_whole() {
            for i in 0..N {
                for j in 0..N {
                    // SAFETY: the caller's promise.
                    values[i][j] = unsafe { V::load(from.as_ptr().add(self.at(i, j) + channel)) };
                }
            }
        } else {
            for i in 0..N {
                for j in 0..N {
                    if self.has(i, j) {
                        // SAFETY: as above.
                        values[i][j] = unsafe { V::load(from.as_ptr().add(self.at(i, j) + channel)) };
                    }
                }
            }
        }
        values
    }

    /// Writes vectors, or adds them to what is there.
    ///
    /// # Safety
    /// As for [`Self::load`].
    #[inline(always)]
    unsafe fn store<V: Lanes>(&self, values: [[V; N]; N], to: &mut [f32], channel: usize, add: bool) {
        for i in 0..N {
            for j in 0..N {
                if self.has(i, j) {
                    // SAFETY: the caller's promise.
                    unsafe {
                        let at = to.as_mut_ptr().add(self.at(i, j) + channel);
                        let value = if add { V::load(at).add(values[i][j]) } else { values[i][j] };
                        value.store(at);
                    }
                }
            }
        }
    }
}

/// Half of a transform: what it makes of a column. Rows are done alike.
///
/// Here and below are loops over arrays and functions that are always inlined: what a closure does is compiled without the
/// CPU's vectors.
trait Transform<const N: usize, const M: usize> {
    fn column<V: Lanes>(from: [V; N]) -> [V; M];
}

/// G·g·Gᵀ. For 3 × 3, G = [1 0 0; ½ ½ ½; ½ −½ ½; 0 0 1]. For 5 × 5 its rows are the powers of the points 0, 1, −1, 2, −2
/// over 4, −6, −6, 24, 24, and [0 0 0 0 1].
struct KernelIn;

impl Transform<5, 6> for KernelIn {
    #[inline(always)]
    fn column<V: Lanes>([a, b, c, d, e]: [V; 5]) -> [V; 6] {
        let (quarter, sixth, small) = (V::splat(0.25), V::splat(-1.0 / 6.0), V::splat(1.0 / 24.0));
        let (even, odd) = (a.add(c).add(e).mul(sixth), b.add(d).mul(sixth));
        let (two, four, sixteen) = (V::splat(2.0), V::splat(4.0), V::splat(16.0));
        let even_2 = c.mul_add(four, e.mul_add(sixteen, a)).mul(small);
        let odd_2 = d.mul_add(four, b).mul(two).mul(small);
        [a.mul(quarter), even.add(odd), even.sub(odd), even_2.add(odd_2), even_2.sub(odd_2), e]
    }
}

impl Transform<3, 4> for KernelIn {
    #[inline(always)]
    fn column<V: Lanes>([a, b, c]: [V; 3]) -> [V; 4] {
        let half = V::splat(0.5);
        let (ends, middle) = (a.add(c).mul(half), b.mul(half));
        [a, ends.add(middle), ends.sub(middle), c]
    }
}

/// Gᵀ·u·G.
struct KernelSlope;

impl Transform<4, 3> for KernelSlope {
    #[inline(always)]
    fn column<V: Lanes>([a, b, c, d]: [V; 4]) -> [V; 3] {
        let half = V::splat(0.5);
        let sum = b.add(c).mul(half);
        [a.add(sum), b.sub(c).mul(half), sum.add(d)]
    }
}

impl Transform<6, 5> for KernelSlope {
    #[inline(always)]
    fn column<V: Lanes>([u, p, q, r, s, w]: [V; 6]) -> [V; 5] {
        let (quarter, sixth, small) = (V::splat(0.25), V::splat(-1.0 / 6.0), V::splat(1.0 / 24.0));
        let (two, four, sixteen) = (V::splat(2.0), V::splat(4.0), V::splat(16.0));
        let (even, odd) = (p.add(q).mul(sixth), p.sub(q).mul(sixth));
        let (even_2, odd_2) = (r.add(s).mul(small), r.sub(s).mul(small).mul(two));
        [
            u.mul_add(quarter, even.add(even_2)),
            odd.add(odd_2),
            even_2.mul_add(four, even),
            odd_2.mul_add(four, odd),
            even_2.mul_add(sixteen, even).add(w),
        ]
    }
}

/// Bᵀ·d·B. For tiles of four, Bᵀ = [1 0 −1 0; 0 1 1 0; 0 −1 1 0; 0 1 0 −1]; for tiles of six, [4 0 −5 0 1 0; 0 −4 −4 1 1 0;
/// 0 4 −4 −1 1 0; 0 −2 −1 2 1 0; 0 2 −1 −2 1 0; 0 4 0 −5 0 1].
struct Input;

impl Transform<6, 6> for Input {
    #[inline(always)]
    fn column<V: Lanes>([a, b, c, d, e, f]: [V; 6]) -> [V; 6] {
        let (two, four, five) = (V::splat(2.0), V::splat(4.0), V::splat(5.0));
        let (even, odd) = (e.sub(c.mul(four)), d.sub(b.mul(four)));
        let (even_2, odd_2) = (e.sub(c), d.sub(b).mul(two));
        [
            a.mul_add(four, e).sub(c.mul(five)),
            even.add(odd),
            even.sub(odd),
            even_2.add(odd_2),
            even_2.sub(odd_2),
            b.mul_add(four, f).sub(d.mul(five)),
        ]
    }
}

impl Transform<4, 4> for Input {
    #[inline(always)]
    fn column<V: Lanes>([a, b, c, d]: [V; 4]) -> [V; 4] {
        [a.sub(c), b.add(c), c.sub(b), b.sub(d)]
    }
}

/// B·v·Bᵀ.
struct InputSlope;

impl Transform<4, 4> for InputSlope {
    #[inline(always)]
    fn column<V: Lanes>([a, b, c, d]: [V; 4]) -> [V; 4] {
        [a, b.sub(c).add(d), b.add(c).sub(a), V::splat(0.0).sub(d)]
    }
}

impl Transform<6, 6> for InputSlope {
    #[inline(always)]
    fn column<V: Lanes>([u, p, q, r, s, w]: [V; 6]) -> [V; 6] {
        let (two, four, five) = (V::splat(2.0), V::splat(4.0), V::splat(5.0));
        let (even, odd) = (p.add(q), p.sub(q));
        let (even_2, odd_2) = (r.add(s), r.sub(s).mul(two));
        [
            u.mul(four),
            w.mul(four).sub(odd.mul(four)).sub(odd_2),
            V::splat(0.0).sub(u.mul(five)).sub(even.mul(four)).sub(even_2),
            odd.add(odd_2).sub(w.mul(five)),
            u.add(even).add(even_2),
            w,
        ]
    }
}

/// Aᵀ·m·A. For tiles of four, Aᵀ = [1 1 1 0; 0 1 −1 −1]; for tiles of six, [1 1 1 1 1 0; 0 1 −1 2 −2 1].
struct Output;

impl Transform<6, 2> for Output {
    #[inline(always)]
    fn column<V: Lanes>([u, p, q, r, s, w]: [V; 6]) -> [V; 2] {
        let two = V::splat(2.0);
        [u.add(p.add(q)).add(r.add(s)), p.sub(q).add(w).add(r.sub(s).mul(two))]
    }
}

impl Transform<4, 2> for Output {
    #[inline(always)]
    fn column<V: Lanes>([a, b, c, d]: [V; 4]) -> [V; 2] {
        [a.add(b).add(c), b.sub(c).sub(d)]
    }
}

/// A·dy·Aᵀ.
struct OutputSlope;

impl Transform<2, 4> for OutputSlope {
    #[inline(always)]
    fn column<V: Lanes>([a, b]: [V; 2]) -> [V; 4] {
        [a, a.add(b), a.sub(b), V::splat(0.0).sub(b)]
    }
}

impl Transform<2, 6> for OutputSlope {
    #[inline(always)]
    fn column<V: Lanes>([a, b]: [V; 2]) -> [V; 6] {
        let two = b.mul(V::splat(2.0));
        [a, a.add(b), a.sub(b), a.add(two), a.sub(two), b]
    }
}

/// A transform of columns, then of rows.
#[inline(always)]
fn both_ways<V: Lanes, T: Transform<N, M>, const N: usize, const M: usize>(from: [[V; N]; N]) -> [[V; M]; M] {
    let zero = V::splat(0.0);
    let (mut half, mut to) = ([[zero; N]; M], [[zero; M]; M]);
    for j in 0..N {
        let mut column = [zero; N];
        for i in 0..N {
            column[i] = from[i][j];
        }
        let column = T::column(column);
        for i in 0..M {
            half[i][j] = column[i];
        }
    }
    for i in 0..M {
        to[i] = T::column(half[i]);
    }
    to
}

/// Transforms the floats at some places, and those behind them, as many as there are channels.
#[inline(always)]
fn transform<V: Lanes, T: Transform<N, M>, const N: usize, const M: usize>(
    (from, from_at): (&[f32], Places<N>),
    (to, to_at): (&mut [f32], Places<M>),
    channels: usize,
    add: bool,
) {
    from_at.check(channels, from.len());
    to_at.check(channels, to.len());
    assert!(channels.is_multiple_of(V::LANES), "channels are whole vectors");
    for channel in (0..channels).step_by(V::LANES) {
        // SAFETY: both were checked, and a vector lies behind `channel`.
        unsafe {
            let values = from_at.load::<V>(from, channel);
            to_at.store(both_ways::<V, T, N, M>(values), to, channel, add);
        }
    }
}

/// All kernels, in and out of their transformed form.
struct Kernels<'a, const K: usize, const T: usize> {
    weight: &'a [f32],
    kernels: &'a mut [f32],
    /// Kernels: input channels × output channels.
    size: usize,
}

impl<const K: usize, const T: usize> Kernel for Kernels<'_, K, T>
where
    KernelIn: Transform<K, T>,
{
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { weight, kernels, size } = self;
        transform::<V, KernelIn, K, T>(
            (weight, Places::planes(0, size)),
            (kernels, Places::planes(0, size)),
            size,
            false,
        );
    }
}

struct KernelSlopes<'a, const K: usize, const T: usize> {
    slopes: &'a [f32],
    gradient: &'a mut [f32],
    size: usize,
}

impl<const K: usize, const T: usize> Kernel for KernelSlopes<'_, K, T>
where
    KernelSlope: Transform<T, K>,
{
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { slopes, gradient, size } = self;
        transform::<V, KernelSlope, T, K>(
            (slopes, Places::planes(0, size)),
            (gradient, Places::planes(0, size)),
            size,
            false,
        );
    }
}

/// Input tiles, out of an image.
struct Tiles<'a, const T: usize> {
    way: &'a Winograd,
    first: usize,
    tiles: usize,
    x: &'a [f32],
    v: &'a mut [f32],
}

impl<const T: usize> Kernel for Tiles<'_, T>
where
    Input: Transform<T, T>,
{
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { way, first, tiles, x, v } = self;
        let channels = way.inputs;
        for tile in 0..tiles {
            let to = Places::planes(tile * channels, tiles * channels);
            transform::<V, Input, T, T>((x, way.seen(first, tile)), (&mut *v, to), channels, false);
        }
    }
}

/// Derivatives by input tiles, added to those by the pixels.
struct InputSlopes<'a, const T: usize> {
    way: &'a Winograd,
    first: usize,
    tiles: usize,
    v: &'a [f32],
    dx: &'a mut [f32],
}

impl<const T: usize> Kernel for InputSlopes<'_, T>
where
    InputSlope: Transform<T, T>,
{
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { way, first, tiles, v, dx } = self;
        let channels = way.inputs;
        for tile in 0..tiles {
            let from = Places::planes(tile * channels, tiles * channels);
            transform::<V, InputSlope, T, T>((v, from), (&mut *dx, way.seen(first, tile)), channels, true);
        }
    }
}

/// Output tiles, into an image: with bias, ReLU and pooling.
struct Outputs<'a, 'b, const T: usize> {
    way: &'a Winograd,
    first: usize,
    tiles: usize,
    m: &'a [f32],
    to: &'a mut Pooled<'b>,
}

impl<const T: usize> Kernel for Outputs<'_, '_, T>
where
    Output: Transform<T, MADE>,
{
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { way, first, tiles, m, to: Pooled { y, bias, codes } } = self;
        let channels = way.outputs;
        assert!(channels.is_multiple_of(V::LANES), "channels are whole vectors");
        for tile in 0..tiles {
            let (from, made) = (Places::<T>::planes(tile * channels, tiles * channels), way.made(first, tile));
            from.check(channels, m.len());
            if !way.pool {
                made.check(channels, y.len());
            }
            for channel in (0..channels).step_by(V::LANES) {
                // SAFETY: it was checked, and a vector lies behind `channel`.
                let mut pixels = both_ways::<V, Output, T, MADE>(unsafe { from.load(m, channel) });
                let bias = bias.map_or(V::splat(0.0), |bias| V::read(&bias[channel..][..V::LANES]));
                for pixel in pixels.as_flattened_mut() {
                    *pixel = pixel.add(bias);
                }
                if way.pool {
                    let [[a, b], [c, d]] = pixels;
                    let ((most, code), at) = (largest([a, b, c, d], way.relu), way.left(first, tile) + channel);
                    most.write(&mut y[at..at + V::LANES]);
                    code.write(&mut codes[at..at + V::LANES]);
                    continue;
                }
                if way.relu {
                    for pixel in pixels.as_flattened_mut() {
                        *pixel = pixel.relu();
                    }
                }
                // SAFETY: as above.
                unsafe { made.store(pixels, y, channel, false) };
            }
        }
    }
}

/// Derivatives by output tiles, out of those by the pixels, or by what pooling left of them.
struct OutputSlopes<'a, const T: usize> {
    way: &'a Winograd,
    first: usize,
    tiles: usize,
    dy: &'a [f32],
    codes: &'a [f32],
    m: &'a mut [f32],
}

impl<const T: usize> Kernel for OutputSlopes<'_, T>
where
    OutputSlope: Transform<MADE, T>,
{
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { way, first, tiles, dy, codes, m } = self;
        let channels = way.outputs;
        assert!(channels.is_multiple_of(V::LANES), "channels are whole vectors");
        for tile in 0..tiles {
            let to = Places::planes(tile * channels, tiles * channels);
            if !way.pool {
                transform::<V, OutputSlope, MADE, T>((dy, way.made(first, tile)), (&mut *m, to), channels, false);
                continue;
            }
            to.check(channels, m.len());
            for channel in (0..channels).step_by(V::LANES) {
                let at = way.left(first, tile) + channel;
                let slope = V::read(&dy[at..at + V::LANES]);
                let [a, b, c, d] = spread(slope, V::read(&codes[at..at + V::LANES]));
                // SAFETY: it was checked, and a vector lies behind `channel`.
                unsafe { to.store(both_ways::<V, OutputSlope, MADE, T>([[a, b], [c, d]]), m, channel, false) };
            }
        }
    }
}
