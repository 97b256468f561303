//! Nothing is allocated in a training step.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use dure_learn::{
    local_optimizer::LocalOptimizer,
    loss::{Loss, Targets},
    network::{
        Network,
        build::{Body, Shape},
        simd::Simd,
        spec,
    },
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
    let momentum = LocalOptimizer::Sgd { learning_rate: 1e-3, momentum: 0.9, nesterov: true, weight_decay: 1e-4 };
    for optimizer in [LocalOptimizer::adam(1e-3), LocalOptimizer::sgd(1e-3), momentum] {
        let body = Body::new(Shape::Flat(10), 32, &spec::mlp(&[64, 64, 32], 1)).unwrap();
        let mut mlp = Network::new(body, Shape::Flat(10), 32, optimizer, Simd::Avx512, 1);
        let before = COUNT.with(Cell::get);
        assert!(before > 10, "the counter counts");
        for rows in [32, 7] {
            mlp.inputs(rows).fill(rows as f32);
            assert!(mlp.step(rows, Targets::Numbers(&[1.0; 32]), &Loss::Huber { delta: 0.5 }, 0) > 0.0);
        }
        mlp.inputs(3).fill(1.0);
        assert_eq!(mlp.predict(3).len(), 3);
        assert_eq!(COUNT.with(Cell::get), before);
    }
}
