//! The CPU's vectors, chosen at run time: one binary for every machine.

use super::kernels::Lanes;

/// The CPU's vectors that a step uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simd {
    /// x86-64 with AVX-512.
    Avx512,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// Whatever the compiler may assume.
    Portable,
}

impl Simd {
    /// The best of this CPU.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// What is asked for, or the nearest that this CPU has.
    pub fn available(self) -> Self {
        match (self, Self::detect()) {
            (Self::Portable, _) | (_, Self::Portable) => Self::Portable,
            (Self::Avx2, _) | (_, Self::Avx2) => Self::Avx2,
            (Self::Avx512, Self::Avx512) => Self::Avx512,
        }
    }

    /// Does `work` in code that is compiled for these vectors, as far as it is inlined. `self` is [`Self::available`].
    #[inline(always)]
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        match self {
            // SAFETY: a network takes only what the CPU has.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512(work) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2(work) },
            _ => work(),
        }
    }
}

/// Work that is written in terms of vectors.
pub trait Kernel {
    /// Does it with this kind of vectors. To be inlined.
    fn run<V: Lanes>(self);
}

impl Simd {
    /// Does `kernel` with these vectors. `self` is [`Self::available`].
    #[inline(always)]
    pub fn kernel(self, kernel: impl Kernel) {
        match self {
            // SAFETY: a network takes only what the CPU has.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { kernel_avx512(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { kernel_avx2(kernel) },
            _ => kernel.run::<f32>(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
fn kernel_avx512(kernel: impl Kernel) {
    kernel.run::<std::arch::x86_64::__m512>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn kernel_avx2(kernel: impl Kernel) {
    kernel.run::<std::arch::x86_64::__m256>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
fn avx512<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}
