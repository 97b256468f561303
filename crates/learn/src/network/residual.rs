//! A residual block: relu(main(x) + shortcut(x)). He et al. 2016 <https://arxiv.org/abs/1512.03385>.

use super::{
    layer::{Backward, Layer, Memory, Pass, room, through_relu},
    sequence::Sequence,
};

/// A residual block. Neither way ends in a layer whose derivative looks at what came out of it, such as a ReLU.
#[derive(Debug)]
pub struct Residual {
    /// Floats of an example that goes in.
    pub inputs: usize,
    /// The long way.
    pub main: Sequence,
    /// The short way; none, and x goes through as it is.
    pub shortcut: Option<Sequence>,
}

impl Layer for Residual {
    fn outputs(&self) -> usize {
        self.main.outputs()
    }

    fn parameters(&self) -> usize {
        self.main.parameters() + self.shortcut.as_ref().map_or(0, Layer::parameters)
    }

    fn memory(&self, rows: usize) -> Memory {
        let main = self.main.memory(rows);
        let Some(shortcut) = &self.shortcut else { return main };
        let short = shortcut.memory(rows);
        let other = room(rows, self.inputs.max(self.outputs()));
        Memory { saved: main.saved + short.saved, scratch: other + main.scratch.max(short.scratch) }
    }

    fn multiply_adds(&self) -> u64 {
        self.main.multiply_adds() + self.shortcut.as_ref().map_or(0, Layer::multiply_adds)
    }

    fn forward(
        &self,
        pass: &Pass,
        params: &mut [f32],
        x: &[f32],
        y: &mut [f32],
        saved: &mut [f32],
        scratch: &mut [f32],
    ) {
        let size = pass.rows * self.outputs();
        let (own, rest) = saved.split_at_mut(self.main.memory(0).saved);
        self.main.forward(pass, params, x, y, own, scratch);
        let other: &[f32] = match &self.shortcut {
            Some(shortcut) => {
                let (other, scratch) = scratch.split_at_mut(scratch.len() - shortcut.memory(0).scratch);
                shortcut.forward(pass, &mut params[self.main.parameters()..], x, other, rest, scratch);
                other
            }
            None => x,
        };
        pass.simd.run(
            #[inline(always)]
            || {
                for (y, other) in y[..size].iter_mut().zip(&other[..size]) {
                    let sum = *y + other;
                    *y = if sum < 0.0 { 0.0 } else { sum };
                }
            },
        );
    }

    fn backward(&self, pass: &Pass, given: Backward<'_>) {
        let Backward { params, gradient, x, y, dy, mut dx, saved, scratch } = given;
        let (inputs, outputs, main) = (pass.rows * self.inputs, pass.rows * self.outputs(), self.main.parameters());
        pass.simd.run(
            #[inline(always)]
            || through_relu(&y[..outputs], &mut dy[..outputs]),
        );
        let (own, rest) = saved.split_at_mut(self.main.memory(0).saved);
        let (by_main, by_shortcut) = gradient.split_at_mut(main);
        let given = Backward {
            params,
            gradient: by_main,
            x,
            y,
            dy: &mut *dy,
            dx: dx.as_deref_mut(),
            saved: own,
            scratch: &mut *scratch,
        };
        self.main.backward(pass, given);
        let other: &[f32] = match &self.shortcut {
            Some(shortcut) => {
                let (other, scratch) = scratch.split_at_mut(scratch.len() - shortcut.memory(0).scratch);
                let asked = dx.is_some().then_some(&mut *other);
                let params = &params[main..];
                shortcut.backward(
                    pass,
                    Backward { params, gradient: by_shortcut, x, y, dy, dx: asked, saved: rest, scratch },
                );
                other
            }
            None => dy,
        };
        let Some(dx) = dx else { return };
        pass.simd.run(
            #[inline(always)]
            || {
                for (dx, other) in dx[..inputs].iter_mut().zip(&other[..inputs]) {
                    *dx += other;
                }
            },
        );
    }
}
