#include "muonlab/data/split.h"

#include <cmath>
#include <cstddef>

#include "muonlab/core/error.h"
#include "muonlab/core/hash.h"
#include "muonlab/core/text.h"

namespace muonlab::data {

std::string_view name_of(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kSelection:
      return "selection";
    case Split::kReporting:
      return "reporting";
  }
  throw Error(ErrorKind::kInternal, "split: unknown value");
}

SplitRule::SplitRule(double held_out) : held_out_(held_out) {
  // Written so that NaN fails too.
  MUONLAB_CHECK(held_out > 0 && held_out < 1, "split: held_out: got ",
                core::shortest(held_out),
                ", expected a fraction above 0 and below 1");
  threshold_ = static_cast<std::uint64_t>(std::ldexp(held_out, 64));
}

std::string SplitRule::text() const {
  return concat("sha256/", kSalt, "/held_out=", core::shortest(held_out_));
}

Digest SplitRule::digest(std::string_view document) {
  core::Sha256 hash;
  hash.update(kSalt);
  hash.update(document);
  return hash.digest();
}

Split SplitRule::of(const Digest& digest) const {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = (value << 8) | digest[i];
  if (value >= threshold_) return Split::kTrain;
  return (digest[8] & 0x80U) == 0 ? Split::kSelection : Split::kReporting;
}

}  // namespace muonlab::data
