#include "muonlab/optim/schedule.h"

#include <cmath>
#include <numbers>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::optim {

double Schedule::factor(std::int64_t step) const {
  MUONLAB_CHECK(step >= 0 && step < total, "schedule: step: got ", step,
                ", expected 0 to ", total - 1);
  if (step < warmup) {
    return static_cast<double>(warmup_from_zero ? step : step + 1) /
           static_cast<double>(warmup);
  }
  const std::int64_t descent = shape == ScheduleShape::kConstant ? 0
                               : shape == ScheduleShape::kTrapezoid
                                   ? decay
                                   : total - warmup;
  const std::int64_t left = total - step;  // 1 at the last step
  if (left >= descent) return 1;
  const double share = static_cast<double>(left) / static_cast<double>(descent);
  const double level = shape == ScheduleShape::kCosine
                           ? 0.5 - 0.5 * std::cos(std::numbers::pi * share)
                           : share;
  return floor + (1 - floor) * level;
}

void validate(const Schedule& s) {
  MUONLAB_CHECK(s.total >= 1, "schedule: total: got ", s.total,
                ", expected 1 or more");
  MUONLAB_CHECK(s.warmup >= 0 && s.warmup <= s.total, "schedule: warmup: got ",
                s.warmup, " steps, expected 0 to ", s.total);
  MUONLAB_CHECK(s.floor >= 0 && s.floor <= 1, "schedule: floor: got ", s.floor,
                ", expected 0 to 1");
  MUONLAB_CHECK(s.shape != ScheduleShape::kTrapezoid ||
                    (s.decay >= 0 && s.warmup + s.decay <= s.total),
                "schedule: decay: got ", s.decay, " steps after a warm-up of ",
                s.warmup, ", expected at most ", s.total, " together");
}

ScheduleShape schedule_shape_from_name(std::string_view name) {
  if (name == "constant") return ScheduleShape::kConstant;
  if (name == "linear") return ScheduleShape::kLinear;
  if (name == "cosine") return ScheduleShape::kCosine;
  if (name == "trapezoid") return ScheduleShape::kTrapezoid;
  throw Error(ErrorKind::kInvalidArgument,
              concat("schedule: no shape '", name, "'",
                     core::suggestion(name, schedule_shape_names())));
}

const std::vector<std::string>& schedule_shape_names() {
  static const std::vector<std::string> kNames = {"constant", "linear",
                                                  "cosine", "trapezoid"};
  return kNames;
}

}  // namespace muonlab::optim
