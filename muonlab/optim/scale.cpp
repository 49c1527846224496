#include "muonlab/optim/scale.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::optim {

namespace {

struct Entry {
  Scale scale;
  std::string_view name;
  std::string_view formula;
};
constexpr std::array<Entry, 4> kEntries = {
    {{Scale::kUnit, "s1", "1"},
     {Scale::kAspect, "s2", "sqrt(max(1,out/in))"},
     {Scale::kSpectral, "s3", "sqrt(out/in)"},
     {Scale::kMatchRms, "s4", "0.2*sqrt(max(out,in))"}}};

const Entry& entry(Scale scale) {
  return *std::find_if(kEntries.begin(), kEntries.end(),
                       [&](const Entry& e) { return e.scale == scale; });
}

}  // namespace

Scale scale_from_name(std::string_view name) {
  for (const Entry& e : kEntries) {
    if (e.name == name) return e.scale;
  }
  throw Error(ErrorKind::kInvalidArgument,
              concat("scale: no scale '", name, "'",
                     core::suggestion(name, scale_names())));
}

std::string_view scale_name(Scale scale) { return entry(scale).name; }
std::string_view scale_formula(Scale scale) { return entry(scale).formula; }

const std::vector<std::string>& scale_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const Entry& e : kEntries) names.emplace_back(e.name);
    return names;
  }();
  return kNames;
}

double scale_factor(Scale scale, std::int64_t d_out, std::int64_t d_in) {
  const auto rows = static_cast<double>(d_out);
  const auto columns = static_cast<double>(d_in);
  switch (scale) {
    case Scale::kUnit:
      return 1;
    case Scale::kAspect:
      return std::sqrt(std::max(1.0, rows / columns));
    case Scale::kSpectral:
      return std::sqrt(rows / columns);
    case Scale::kMatchRms:
      return 0.2 * std::sqrt(std::max(rows, columns));
  }
  return 1;
}

}  // namespace muonlab::optim
