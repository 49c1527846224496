#include "muonlab/train/stop_rule.h"

#include <algorithm>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::train {

std::string StopRule::look(std::int64_t step, double loss) {
  if (options_.ratio <= 0) return "";
  if (step > options_.after && loss > options_.ratio * lowest_) {
    if (++bad_ < options_.patience) return "";
    return concat("the training loss was above ",
                  core::shortest(options_.ratio), " times its lowest, ",
                  core::fixed(lowest_, 4), ", for ", options_.patience,
                  " steps in a row (train.stop_ratio)");
  }
  bad_ = 0;
  lowest_ = std::min(lowest_, loss);
  return "";
}

}  // namespace muonlab::train
