#include "muonlab/train/inspect.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/linalg/spectrum.h"
#include "muonlab/linalg/tensor_file.h"

namespace muonlab::train {

namespace {

using formats::Json;
using formats::json_number;

std::string shape_text(const at::Tensor& tensor) {
  std::vector<std::string> parts;
  for (const std::int64_t d : tensor.sizes()) {
    parts.push_back(std::to_string(d));
  }
  return parts.empty() ? "scalar" : core::join(parts, "x");
}

std::string digits(double value) {
  std::ostringstream out;
  out.precision(4);
  out << value;
  return out.str();
}

}  // namespace

Inspection inspect(const std::filesystem::path& path, bool spectra) {
  const auto file = linalg::load_tensors(path);
  std::vector<std::string> heading = {"tensor", "dtype", "shape",
                                      "bytes",  "rms",   "largest"};
  if (spectra) {
    for (const char* name :
         {"spectral norm", "smallest", "stable rank", "entropy"}) {
      heading.emplace_back(name);
    }
  }
  std::vector<std::vector<std::string>> rows = {heading};
  Json tensors = Json::array();
  std::int64_t values = 0;
  std::vector<std::string> not_finite;
  for (const auto& [name, tensor] : file.tensors) {
    const at::Tensor wide = tensor.to(at::kDouble);
    const double count = static_cast<double>(tensor.numel());
    const double rms =
        count > 0 ? wide.norm().item<double>() / std::sqrt(count) : 0;
    const double largest = count > 0 ? wide.abs().max().item<double>() : 0;
    const bool finite = at::isfinite(wide).all().item<bool>();
    if (!finite) not_finite.push_back(name);
    values += tensor.numel();
    Json row = {{"name", name},
                {"dtype", c10::toString(tensor.scalar_type())},
                {"shape", tensor.sizes().vec()},
                {"bytes", static_cast<std::int64_t>(tensor.nbytes())},
                {"rms", json_number(rms)},
                {"largest", json_number(largest)},
                {"finite", finite}};
    std::vector<std::string> line = {
        name,
        c10::toString(tensor.scalar_type()),
        shape_text(tensor),
        core::grouped(static_cast<std::int64_t>(tensor.nbytes())),
        digits(rms),
        digits(largest)};
    const bool matrix =
        tensor.dim() >= 2 && tensor.is_floating_point() && finite && count > 0;
    if (spectra && matrix) {
      const linalg::Spectrum s = linalg::spectrum_of(wide.flatten(1));
      row["spectrum"] = {{"largest", json_number(s.largest)},
                         {"smallest", json_number(s.smallest)},
                         {"stable_rank", json_number(s.stable_rank)},
                         {"entropy", json_number(s.entropy)}};
      for (const double v : {s.largest, s.smallest, s.stable_rank, s.entropy}) {
        line.push_back(digits(v));
      }
    }
    line.resize(heading.size());
    rows.push_back(std::move(line));
    tensors.push_back(std::move(row));
  }
  std::string text = core::aligned_table(rows);
  text += concat(file.tensors.size(), " tensors, ", core::grouped(values),
                 " values; the file is whole\n");
  if (!not_finite.empty()) {
    text += concat("not finite: ", core::join(not_finite, ", "), "\n");
  }
  Json metadata = Json::object();
  for (const auto& [key, value] : file.metadata) metadata[key] = value;
  return {.text = std::move(text),
          .json = {{"schema", 1},
                   {"metadata", std::move(metadata)},
                   {"tensors", std::move(tensors)}}};
}

}  // namespace muonlab::train
