plugins {
    id("com.android.application")
    // Android Gradle Plugin before 9: also id("org.jetbrains.kotlin.android")
}

android {
    namespace = "com.example.edgeferry"
    compileSdk = 36

    defaultConfig {
        applicationId = "com.example.edgeferry"
        minSdk = 28 // ImageDecoder; LiteRT itself is content with 21
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
    }

    androidResources {
        noCompress += "tflite" // so that it can be mapped into memory
    }
}

dependencies {
    implementation("com.google.ai.edge.litert:litert:1.4.2")
    implementation("androidx.activity:activity:1.10.1")
}
