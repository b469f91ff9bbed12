//! How a function is called where more than its types say so: by whose convention, and from where on its arguments vary.

/// Whose C convention a function follows.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum System {
    /// That of the system on which this runs.
    #[default]
    Own,
    /// That of Apple's systems on this processor. What was compiled for them runs elsewhere, too, as long as it asks nothing of the system.
    Apple,
}

/// How a function is called. The default: by the convention of this system, and with arguments that do not vary.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Calling {
    pub(crate) system: System,
    pub(crate) fixed: Option<usize>,
}

impl Calling {
    /// By the convention of a system.
    #[must_use]
    pub const fn of(system: System) -> Self {
        Self {
            system,
            fixed: None,
        }
    }

    /// The same for a function whose arguments vary behind so many that do not (in C, those before `...`). C promotes arguments that vary,
    /// so they are of no type with fewer than 32 bits, and no `float`.
    #[must_use]
    pub const fn variadic(self, fixed: usize) -> Self {
        Self {
            fixed: Some(fixed),
            ..self
        }
    }

    /// Whether the argument with this number is the first of those that vary.
    pub(crate) fn varies_from(self, argument: usize) -> bool {
        self.fixed == Some(argument)
    }
}
