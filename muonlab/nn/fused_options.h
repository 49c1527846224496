// What a fused pass computes in, and what it keeps.
#pragma once

#include <cstdint>

#include "muonlab/nn/precision.h"

namespace muonlab::nn {

struct FusedOptions {
  Precision precision = Precision::kFloat32;
  /// Keep only what enters each block and compute the rest again on the way
  /// back: a third more work, a fraction of the memory.
  bool checkpointing = false;
  /// Rows of the logits' gradients that are held at a time; 0: as many as take
  /// 48 MiB, at least 64 for each thread.
  std::int64_t head_rows = 0;
};

}  // namespace muonlab::nn
