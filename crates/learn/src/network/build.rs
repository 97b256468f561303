//! From a list of layers to a network's body: shapes are followed through, tensors get names, and a ReLU is done by the
//! layer before it.

use std::ops::Range;

use dure_core::{
    model::{Initial, Layout, LayoutError, Role, TensorSpec},
    plan::PlanError,
};

use super::{
    activation::{Activation, Kind},
    conv::{Conv2d, Image},
    dropout::Dropout,
    layer::{Layer, Memory, room},
    linear::Linear,
    norm::{BatchNorm, GroupNorm},
    pool::{GlobalAveragePool, Pool, Pooling},
    residual::Residual,
    sequence::Sequence,
    spec::{LayerSpec, Named},
};

/// The most floats of an example anywhere in a network.
const MAX_WIDTH: usize = 1 << 28;

/// What goes into a layer, or comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A row of floats.
    Flat(usize),
    /// An image.
    Image(Image),
}

impl Shape {
    /// Floats of an example.
    pub fn floats(self) -> usize {
        match self {
            Self::Flat(width) => width,
            Self::Image(image) => image.floats(),
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flat(width) => write!(f, "{width}"),
            // As PyTorch says it.
            Self::Image(Image { height, width, channels }) => write!(f, "{channels}×{height}×{width}"),
        }
    }
}

/// How a tensor lies in a network, against how it lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// Alike.
    Same,
    /// A convolution's: [output, input, row, column] in a file, [row, column, input, output] in a network.
    Kernel {
        /// Output channels.
        outputs: usize,
        /// Input channels.
        inputs: usize,
        /// Rows × columns.
        pixels: usize,
    },
    /// A linear layer's behind an image: [output, channel, pixel] in a file, [output, pixel, channel] in a network.
    Flattened {
        /// Outputs.
        outputs: usize,
        /// Pixels.
        pixels: usize,
        /// Channels.
        channels: usize,
    },
}

impl Arrangement {
    /// Brings a tensor from a file's order into a network's.
    pub fn bring_in(self, file: &[f32], network: &mut [f32]) {
        if self == Self::Same {
            return network.copy_from_slice(file);
        }
        self.pairs(file.len(), |from, to| network[to] = file[from]);
    }

    /// Brings a tensor from a network's order into a file's.
    pub fn bring_out(self, network: &[f32], file: &mut [f32]) {
        if self == Self::Same {
            return file.copy_from_slice(network);
        }
        self.pairs(network.len(), |to, from| file[to] = network[from]);
    }

    /// Calls `each` with a place in the file and the same float's place in the network.
    fn pairs(self, length: usize, mut each: impl FnMut(usize, usize)) {
        match self {
            Self::Same => (0..length).for_each(|i| each(i, i)),
            Self::Kernel { outputs, inputs, pixels } => {
                for pixel in 0..pixels {
                    for input in 0..inputs {
                        for output in 0..outputs {
                            each(
                                (output * inputs + input) * pixels + pixel,
                                (pixel * inputs + input) * outputs + output,
                            );
                        }
                    }
                }
            }
            Self::Flattened { outputs, pixels, channels } => {
                for output in 0..outputs {
                    for pixel in 0..pixels {
                        for channel in 0..channels {
                            let start = output * pixels * channels;
                            each(start + channel * pixels + pixel, start + pixel * channels + channel);
                        }
                    }
                }
            }
        }
    }
}

/// A tensor of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name, shape and beginning, as a file has it.
    pub spec: TensorSpec,
    /// How it lies in a network.
    pub arrangement: Arrangement,
    /// Whether it is of a batch or group norm.
    pub norm: bool,
}

/// A line of a model's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What its tensors' names begin with; empty without tensors.
    pub name: String,
    /// What it is.
    pub layer: String,
    /// What comes out.
    pub output: String,
    /// How many parameters it has.
    pub parameters: usize,
    /// Multiply-adds of an example, forward.
    pub multiply_adds: u64,
}

/// A network's body for batches of some size, and what is known of it.
#[derive(Debug)]
pub struct Body {
    /// The layers.
    pub layers: Sequence,
    /// The tensors, in the order of the parameters.
    pub tensors: Vec<Tensor>,
    /// A description, a line a layer.
    pub lines: Vec<Line>,
    /// Outputs of an example.
    pub outputs: usize,
    /// Whether a step makes random choices.
    pub draws: bool,
    /// Floats that a network of it holds for `rows` examples.
    pub floats: u64,
}

impl Body {
    /// Of the layers `names`, for batches of up to `rows` examples of `input`.
    pub fn new(input: Shape, rows: usize, names: &[Named]) -> Result<Self, PlanError> {
        let mut builder = Builder::new(input, rows);
        builder.all(names)?;
        if builder.layers.is_empty() {
            return Err(PlanError::value("model.layers", "[]", "at least one layer"));
        }
        let (outputs, tensors, lines) = (builder.shape.floats(), builder.tensors, builder.lines);
        let layers = Sequence::new(input.floats(), rows, builder.layers);
        let Memory { saved, scratch } = layers.memory(rows);
        // Parameters, gradient and two moments; inputs, outputs and their derivative.
        let held = 4 * layers.parameters() + room(rows, input.floats()) + 2 * room(rows, outputs) + saved + scratch;
        let draws = names.iter().any(|(_, layer)| matches!(layer, LayerSpec::Dropout { .. }));
        Ok(Self { layers, tensors, lines, outputs, draws, floats: held as u64 })
    }
}

impl Body {
    /// All tensors, as a plan has them that shares them all.
    pub fn layout(&self) -> Result<Layout, LayoutError> {
        Layout::new(self.tensors.iter().map(|tensor| tensor.spec.clone()).collect())
    }
}

/// Layers so far, and what comes out of the last.
struct Builder {
    shape: Shape,
    /// The image that a row of floats was, since it was flattened.
    flattened: Option<Image>,
    /// Whether the last layer does the pooling that comes next.
    pooled: bool,
    rows: usize,
    layers: Vec<Box<dyn Layer>>,
    tensors: Vec<Tensor>,
    lines: Vec<Line>,
}

impl Builder {
    fn new(shape: Shape, rows: usize) -> Self {
        Self { shape, flattened: None, pooled: false, rows, layers: vec![], tensors: vec![], lines: vec![] }
    }

    fn all(&mut self, layers: &[Named]) -> Result<(), PlanError> {
        let mut i = 0;
        while let Some((name, layer)) = layers.get(i) {
            layer.check().map_err(|error| of_layer(i, error))?;
            let relu = matches!(layers.get(i + 1), Some((_, LayerSpec::Relu {}))) && layer.takes_relu();
            let pool = layers.get(i + 1 + usize::from(relu)).is_some_and(|(_, next)| next.halves());
            self.one(name, layer, After { relu, pool }).map_err(|why| fault(i, layer, self.shape, why))?;
            if self.shape.floats().saturating_mul(self.rows) > MAX_WIDTH {
                return Err(fault(i, layer, self.shape, Misfit("what comes out of it is too large".into())));
            }
            i += if relu { 2 } else { 1 };
        }
        Ok(())
    }

    fn one(&mut self, name: &str, layer: &LayerSpec, after: After) -> Result<(), Misfit> {
        let After { relu, .. } = after;
        match *layer {
            LayerSpec::Linear { units, bias } => self.linear(name, units, bias, relu),
            LayerSpec::Conv2d { channels, kernel, stride, padding, bias } => {
                self.conv(name, Window { channels, kernel, stride, padding }, bias.then_some(()), after)
            }
            LayerSpec::BatchNorm {} => self.batch_norm(name, relu),
            LayerSpec::GroupNorm { groups } => self.group_norm(name, groups, relu),
            LayerSpec::Relu {} => self.activation("relu", Kind::Relu),
            LayerSpec::Sigmoid {} => self.activation("sigmoid", Kind::Sigmoid),
            LayerSpec::Tanh {} => self.activation("tanh", Kind::Tanh),
            LayerSpec::Dropout { rate } => self.dropout(rate),
            LayerSpec::MaxPool { size, stride, padding } => {
                self.pool(size, stride.unwrap_or(size), padding, Pooling::Max)
            }
            LayerSpec::AveragePool { size, stride } => self.pool(size, stride.unwrap_or(size), 0, Pooling::Average),
            LayerSpec::GlobalAveragePool {} => self.global_pool(),
            LayerSpec::Flatten {} => self.flatten(),
            LayerSpec::BasicBlock { channels, stride } => self.basic_block(name, channels, stride),
            LayerSpec::Bottleneck { channels, stride } => self.bottleneck(name, channels, stride),
        }
    }

    fn image(&self) -> Result<Image, Misfit> {
        match self.shape {
            Shape::Image(image) => Ok(image),
            Shape::Flat(_) => Err(Misfit("it needs images".into())),
        }
    }

    /// Pixels and floats of a pixel; a row of floats is one pixel.
    fn pixels(&self) -> (usize, usize) {
        match self.shape {
            Shape::Flat(width) => (1, width),
            Shape::Image(image) => (image.height * image.width, image.channels),
        }
    }

    fn tensor(&mut self, name: String, shape: Vec<usize>, initial: Initial, arrangement: Arrangement) {
        let spec = TensorSpec { name, shape, initial, role: Role::Weight };
        self.tensors.push(Tensor { spec, arrangement, norm: false });
    }

    fn norm(&mut self, spec: TensorSpec) {
        self.tensors.push(Tensor { spec, arrangement: Arrangement::Same, norm: true });
    }

    fn push(&mut self, name: &str, what: String, shape: Shape, layer: impl Layer + 'static) {
        let (parameters, multiply_adds) = (layer.parameters(), layer.multiply_adds());
        self.lines.push(Line { name: name.into(), layer: what, output: shape.to_string(), parameters, multiply_adds });
        self.shape = shape;
        self.layers.push(Box::new(layer));
    }

    /// A layer that another one does.
    fn note(&mut self, layer: String, shape: Shape) {
        self.lines.push(Line {
            name: String::new(),
            layer,
            output: shape.to_string(),
            parameters: 0,
            multiply_adds: 0,
        });
        self.shape = shape;
    }

    fn linear(&mut self, name: &str, units: usize, bias: bool, relu: bool) -> Result<(), Misfit> {
        let Shape::Flat(inputs) = self.shape else {
            return Err(Misfit("it needs rows of floats; put a flatten before it".into()));
        };
        let initial = Initial::Uniform(1.0 / (inputs as f32).sqrt());
        // Floats of a pixel are side by side in both, if there is one channel or one pixel.
        let apart = |image: &Image| image.channels > 1 && image.height * image.width > 1;
        let arrangement = self.flattened.take().filter(apart).map_or(Arrangement::Same, |image| {
            Arrangement::Flattened { outputs: units, pixels: image.height * image.width, channels: image.channels }
        });
        self.tensor(format!("{name}.weight"), vec![units, inputs], initial, arrangement);
        if bias {
            self.tensor(format!("{name}.bias"), vec![units], initial, Arrangement::Same);
        }
        let what = with_relu(format!("linear {inputs} → {units}"), relu);
        self.push(name, what, Shape::Flat(units), Linear { inputs, outputs: units, bias, relu });
        Ok(())
    }

    /// A convolution with PyTorch's default beginning if it has a bias, and with that of a residual network if not.
    fn conv(
        &mut self,
        name: &str,
        window: Window,
        bias: Option<()>,
        After { relu, pool }: After,
    ) -> Result<(), Misfit> {
        let input = self.image()?;
        let Window { channels, kernel, stride, padding } = window;
        fits(input, kernel, padding)?;
        let conv = Conv2d { input, channels, kernel, stride, padding, bias: bias.is_some(), relu, pool: false };
        let arrangement = Arrangement::Kernel { outputs: channels, inputs: input.channels, pixels: kernel * kernel };
        let uniform = Initial::Uniform(1.0 / (conv.depth() as f32).sqrt());
        let normal = Initial::Normal((2.0 / (kernel * kernel * channels) as f32).sqrt());
        let initial = if conv.bias { uniform } else { normal };
        self.tensor(format!("{name}.weight"), vec![channels, input.channels, kernel, kernel], initial, arrangement);
        if conv.bias {
            self.tensor(format!("{name}.bias"), vec![channels], uniform, Arrangement::Same);
        }
        let what = format!("conv2d {kernel}×{kernel}, {} → {channels}, stride {stride}", input.channels);
        self.pooled = pool && conv.can_pool();
        self.push(name, with_relu(what, relu), Shape::Image(conv.made()), Conv2d { pool: self.pooled, ..conv });
        Ok(())
    }

    fn batch_norm(&mut self, name: &str, relu: bool) -> Result<(), Misfit> {
        let (pixels, channels) = self.pixels();
        self.affine(name, channels);
        for (what, initial) in [("running_mean", Initial::Zeros), ("running_var", Initial::Constant(1.0))] {
            let spec =
                TensorSpec { name: format!("{name}.{what}"), shape: vec![channels], initial, role: Role::Statistic };
            self.norm(spec);
        }
        let what = with_relu(format!("batch_norm {channels}"), relu);
        self.push(name, what, self.shape, BatchNorm { pixels, channels, relu });
        Ok(())
    }

    fn group_norm(&mut self, name: &str, groups: usize, relu: bool) -> Result<(), Misfit> {
        let (pixels, channels) = self.pixels();
        if !channels.is_multiple_of(groups) {
            return Err(Misfit(format!("{groups} groups do not divide {channels} channels")));
        }
        self.affine(name, channels);
        let what = with_relu(format!("group_norm {channels} in {groups}"), relu);
        self.push(name, what, self.shape, GroupNorm { pixels, channels, groups, relu });
        Ok(())
    }

    fn affine(&mut self, name: &str, channels: usize) {
        self.norm(TensorSpec::new(format!("{name}.weight"), [channels], Initial::Constant(1.0)));
        self.norm(TensorSpec::new(format!("{name}.bias"), [channels], Initial::Zeros));
    }

    fn activation(&mut self, what: &str, kind: Kind) -> Result<(), Misfit> {
        self.push("", what.into(), self.shape, Activation { width: self.shape.floats(), kind });
        Ok(())
    }

    fn dropout(&mut self, rate: f32) -> Result<(), Misfit> {
        let dropout = Dropout { width: self.shape.floats(), rate, place: self.layers.len() as u64 };
        self.push("", format!("dropout {rate}"), self.shape, dropout);
        Ok(())
    }

    fn pool(&mut self, size: usize, stride: usize, padding: usize, pooling: Pooling) -> Result<(), Misfit> {
        let input = self.image()?;
        fits(input, size, padding)?;
        let pool = Pool { input, size, stride, padding, pooling };
        let what = if pooling == Pooling::Max { "max_pool" } else { "average_pool" };
        let (what, shape) = (format!("{what} {size}×{size}, stride {stride}"), Shape::Image(pool.output()));
        if std::mem::take(&mut self.pooled) {
            self.note(what, shape);
        } else {
            self.push("", what, shape, pool);
        }
        Ok(())
    }

    fn global_pool(&mut self) -> Result<(), Misfit> {
        let Image { height, width, channels } = self.image()?;
        let pool = GlobalAveragePool { pixels: height * width, channels };
        self.push("", "global_average_pool".into(), Shape::Image(Image { height: 1, width: 1, channels }), pool);
        Ok(())
    }

    /// Floats lie as they do: the linear layer that comes next has its weight's columns in another order instead.
    fn flatten(&mut self) -> Result<(), Misfit> {
        let image = self.image()?;
        self.flattened = Some(image);
        self.note("flatten".into(), Shape::Flat(image.floats()));
        Ok(())
    }

    fn basic_block(&mut self, name: &str, channels: usize, stride: usize) -> Result<(), Misfit> {
        let mut main = Self::new(self.shape, self.rows);
        main.conv(
            &format!("{name}.conv1"),
            Window { channels, kernel: 3, stride, padding: 1 },
            None,
            After::default(),
        )?;
        main.batch_norm(&format!("{name}.bn1"), true)?;
        main.conv(
            &format!("{name}.conv2"),
            Window { channels, kernel: 3, stride: 1, padding: 1 },
            None,
            After::default(),
        )?;
        main.batch_norm(&format!("{name}.bn2"), false)?;
        self.residual(name, format!("basic_block {channels}, stride {stride}"), main, stride)
    }

    fn bottleneck(&mut self, name: &str, channels: usize, stride: usize) -> Result<(), Misfit> {
        let pointwise = |channels| Window { channels, kernel: 1, stride: 1, padding: 0 };
        let mut main = Self::new(self.shape, self.rows);
        main.conv(&format!("{name}.conv1"), pointwise(channels), None, After::default())?;
        main.batch_norm(&format!("{name}.bn1"), true)?;
        main.conv(
            &format!("{name}.conv2"),
            Window { channels, kernel: 3, stride, padding: 1 },
            None,
            After::default(),
        )?;
        main.batch_norm(&format!("{name}.bn2"), true)?;
        main.conv(&format!("{name}.conv3"), pointwise(4 * channels), None, After::default())?;
        main.batch_norm(&format!("{name}.bn3"), false)?;
        self.residual(name, format!("bottleneck {channels}, stride {stride}"), main, stride)
    }

    fn residual(&mut self, name: &str, what: String, main: Self, stride: usize) -> Result<(), Misfit> {
        let (input, output) = (self.image()?, main.image()?);
        let (inputs, rows) = (input.floats(), self.rows);
        self.tensors.extend(main.tensors);
        let shortcut = if input == output {
            None
        } else {
            let mut short = Self::new(self.shape, rows);
            let window = Window { channels: output.channels, kernel: 1, stride, padding: 0 };
            short.conv(&format!("{name}.downsample.0"), window, None, After::default())?;
            short.batch_norm(&format!("{name}.downsample.1"), false)?;
            self.tensors.extend(short.tensors);
            Some(Sequence::new(inputs, rows, short.layers))
        };
        let main = Sequence::new(inputs, rows, main.layers);
        self.push(name, what, Shape::Image(output), Residual { inputs, main, shortcut });
        Ok(())
    }
}

/// What comes after a layer that it may do itself.
#[derive(Clone, Copy, Default)]
struct After {
    relu: bool,
    /// A 2 × 2 max-pool.
    pool: bool,
}

/// A convolution's window.
#[derive(Clone, Copy)]
struct Window {
    channels: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
}

/// Why a layer cannot follow what comes before it.
struct Misfit(String);

impl LayerSpec {
    /// Whether it is a 2 × 2 max-pool.
    fn halves(&self) -> bool {
        matches!(self, Self::MaxPool { size: 2, stride: None | Some(2), padding: 0 })
    }

    /// Whether a ReLU behind it is done by it.
    fn takes_relu(&self) -> bool {
        matches!(self, Self::Linear { .. } | Self::Conv2d { .. } | Self::BatchNorm {} | Self::GroupNorm { .. })
    }
}

fn fault(i: usize, layer: &LayerSpec, shape: Shape, Misfit(why): Misfit) -> PlanError {
    let layer = serde_json::to_string(layer).unwrap_or_default();
    let given = format!("layer {} {layer}", i + 1);
    PlanError::Value { key: "model.layers", value: given, allowed: format!("{why}; it is given {shape}") }
}

/// Says which layer a value is of.
fn of_layer(i: usize, error: PlanError) -> PlanError {
    match error {
        PlanError::Value { key, value, allowed } => {
            PlanError::Value { key, value: format!("{value} in layer {}", i + 1), allowed }
        }
        other => other,
    }
}

fn with_relu(what: String, relu: bool) -> String {
    if relu { format!("{what}, relu") } else { what }
}

fn fits(input: Image, window: usize, padding: usize) -> Result<(), Misfit> {
    if window <= input.height + 2 * padding && window <= input.width + 2 * padding {
        return Ok(());
    }
    Err(Misfit(format!("a window of {window}×{window} does not fit the image with {padding} pixels around it")))
}

/// The ranges of parameters that are weights; the rest are statistics, which no optimiser moves.
pub fn weights(tensors: &[Tensor]) -> Vec<Range<usize>> {
    ranges(tensors, |tensor| tensor.spec.role == Role::Weight)
}

/// The ranges of parameters that belong to `some` of the tensors; those that touch are one.
pub fn ranges(tensors: &[Tensor], some: impl Fn(&Tensor) -> bool) -> Vec<Range<usize>> {
    let (mut ranges, mut start) = (Vec::<Range<usize>>::new(), 0);
    for tensor in tensors {
        let end = start + tensor.spec.shape.iter().product::<usize>();
        match ranges.last_mut() {
            _ if !some(tensor) => {}
            Some(last) if last.end == start => last.end = end,
            _ => ranges.push(start..end),
        }
        start = end;
    }
    ranges
}
