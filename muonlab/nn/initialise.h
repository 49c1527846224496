// Initial weights as a pure function of (seed, parameter name, index).
#pragma once

#include <cstdint>

#include "muonlab/nn/language_model.h"

namespace muonlab::nn {

/// Fills every parameter of `model` as its configuration says: normal numbers
/// by Philox keyed by the seed and the parameter's name, gains one. The values
/// depend on nothing else, so models that differ in depth share their first
/// layers. Throws Error(kInternal) on a parameter that no rule covers.
void initialise(LanguageModel& model, std::uint64_t seed);

}  // namespace muonlab::nn
