// `train --profile`: where the time of a step goes.
#pragma once

#include <cstdint>
#include <string>

#include "muonlab/formats/json.h"
#include "muonlab/kernels/peak.h"
#include "muonlab/nn/pass_profile.h"
#include "muonlab/nn/precision.h"

namespace muonlab::train {

/// Means over `steps` steps, of the first thread.
struct StepProfile {
  nn::PassProfile pass;
  nn::Precision precision = nn::Precision::kFloat32;
  std::int64_t steps = 0;
  double total_seconds = 0;  ///< of all steps
  double optimizer_seconds = 0;
  double model_flops = 0;  ///< of a step, as nn::flops_per_token counts them
  kernels::Peak peak;      ///< of all threads together
  std::size_t threads = 1;
};

/// A line for each part: ms a step, share of the step, and for products the
/// rate and its share of a thread's measured peak.
[[nodiscard]] std::string profile_table(const StepProfile& profile);
[[nodiscard]] formats::Json profile_json(const StepProfile& profile);

}  // namespace muonlab::train
