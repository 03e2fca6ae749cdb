package com.example.edgeferry

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.net.Uri

/**
 * Decodes a picture, upright by its EXIF orientation, which `BitmapFactory` would ignore.
 *
 * Photographs that are far larger than needed are shrunk by the JPEG decoder, as edgeferry has it.
 */
fun decode(resolver: ContentResolver, picture: Uri, contract: Contract): Bitmap {
    val source = ImageDecoder.createSource(resolver, picture)
    return ImageDecoder.decodeBitmap(source) { decoder, info, _ ->
        decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
        if (info.mimeType == "image/jpeg" && contract.interpolation != "nearest") {
            val place = Placement.of(contract, info.size.width, info.size.height)
            decoder.setTargetSampleSize(place.sampleSize)
        }
    }
}
