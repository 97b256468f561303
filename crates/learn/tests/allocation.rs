//! Nothing is allocated in a training step.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use dure_learn::{
    local_optimizer::LocalOptimizer,
    loss::Loss,
    mlp::{Mlp, Simd},
};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_step_allocates_nothing() {
    let mut mlp = Mlp::new(&[10, 64, 64, 32, 1], 32, Simd::Avx512);
    let before = COUNT.with(Cell::get);
    assert!(before > 10, "the counter counts");
    for optimizer in [LocalOptimizer::Adam { learning_rate: 1e-3 }, LocalOptimizer::Sgd { learning_rate: 1e-3 }] {
        for rows in [32, 7] {
            let loss =
                mlp.step(rows, |row, x, y| (x.fill(row as f32), y.fill(1.0)).0, Loss::Huber { delta: 0.5 }, optimizer);
            assert!(loss > 0.0);
        }
    }
    assert_eq!(mlp.predict(3, |_, x| x.fill(1.0)).len(), 3);
    assert_eq!(COUNT.with(Cell::get), before);
}
