// What a fused pass computes in, and what it keeps.
#pragma once

#include "muonlab/nn/precision.h"

namespace muonlab::nn {

struct FusedOptions {
  Precision precision = Precision::kFloat32;
  /// Keep only what enters each block and compute the rest again on the way
  /// back: a third more work, a fraction of the memory.
  bool checkpointing = false;
};

}  // namespace muonlab::nn
