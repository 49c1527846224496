// Learning-rate schedules, counted in optimizer steps (not micro-batches).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muonlab::optim {

enum class ScheduleShape {
  kConstant,   ///< 1 after the warm-up
  kLinear,     ///< straight from the end of the warm-up to the floor
  kCosine,     ///< half a cosine from the end of the warm-up to the floor
  kTrapezoid,  ///< 1, then straight to the floor over the last `decay` steps
};

/// The factor on every learning rate. The floor would be reached at step
/// `total`, one after the last, so the last step still moves.
struct Schedule {
  ScheduleShape shape = ScheduleShape::kTrapezoid;
  std::int64_t total = 1;   ///< optimizer steps of the run, at least 1
  std::int64_t warmup = 0;  ///< steps: step s < warmup has (s + 1) / warmup
  std::int64_t decay = 0;   ///< trapezoid only: steps of the descent
  double floor = 0;         ///< in [0, 1], as a share of the peak
  /// The warm-up starts at zero: step s < warmup has s / warmup, so that the
  /// first step moves nothing (PyTorch's LambdaLR examples).
  bool warmup_from_zero = false;

  /// For 0 <= step < total; steps outside are an Error(kInvalidArgument).
  [[nodiscard]] double factor(std::int64_t step) const;
};

/// Throws Error(kInvalidArgument) naming the field.
void validate(const Schedule& schedule);

[[nodiscard]] ScheduleShape schedule_shape_from_name(std::string_view name);
[[nodiscard]] const std::vector<std::string>& schedule_shape_names();

}  // namespace muonlab::optim
