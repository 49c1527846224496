#include "muonlab/train/environment.h"

#include <ATen/Parallel.h>
#include <sys/resource.h>
#include <torch/version.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "muonlab/core/error.h"
#include "muonlab/core/hash.h"
#include "muonlab/linalg/matmul.h"
#include "muonlab/linalg/packed_polar.h"

namespace muonlab::train {

namespace {

// The value of the first line "key : value" of /proc/cpuinfo.
std::string cpu_info(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind(key, 0) != 0) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::vector<std::string> simd_flags() {
  std::vector<std::string> flags;
  std::istringstream words(cpu_info("flags"));
  for (std::string word; words >> word;) {
    if (word.rfind("avx", 0) == 0 || word == "fma" ||
        word.rfind("amx", 0) == 0) {
      flags.push_back(word);
    }
  }
  return flags;
}

}  // namespace

std::string machine_line() {
  return concat(cpu_info("model name"), ", ",
                std::thread::hardware_concurrency(), " cores");
}

std::string version_line() {
  return concat("muonlab ", MUONLAB_VERSION, ", LibTorch ", TORCH_VERSION, ", ",
                MUONLAB_COMPILER);
}

double peak_memory_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

formats::Json environment(const std::vector<std::string>& argv) {
  std::string binary;
  try {
    binary = core::sha256_file("/proc/self/exe");
  } catch (const Error&) {
    binary = "unknown";  // no /proc here
  }
  return {{"cpu", cpu_info("model name")},
          {"simd", simd_flags()},
          {"cores", std::thread::hardware_concurrency()},
          {"threads", at::get_num_threads()},
          {"versions", version_line()},
          {"f32_products", linalg::matmul_backend()},
          {"polar", linalg::polar_backend()},
          {"binary_sha256", binary},
          {"argv", argv}};
}

}  // namespace muonlab::train
